import type { HttpAnswer } from '../http.ts'
import { counted, countIn, httpProbe, versionIn } from '../http-probe.ts'
import { asksForCredentials, COUNT_TABLES } from './clickhouse-words.ts'

/** Over GET the server itself allows reading only. */
const COUNT = `/?query=${encodeURIComponent(`${COUNT_TABLES} FORMAT TabSeparated`)}`

export const clickhouseHttp = httpProbe({
  protocol: 'clickhouse',
  name: 'ClickHouse (HTTP)',
  defaultPorts: [8123, 8443],
  tlsPorts: [8443],
  firstPath: COUNT,
  async observe({ first }) {
    const product = 'ClickHouse'
    const text = first.body.toString('utf8', 0, 4_096)
    const fields = /^(\d+)\t(\S+)\n$/.exec(text)
    const tables = countIn(fields?.[1])
    if (first.status === 200 && isClickHouse(first) && tables !== undefined) {
      const evidence = `counted ${counted(tables, 'table', 'tables')}`
      return { verdict: 'open', how: 'no-credentials', evidence, product, ...versionIn(fields?.[2]) }
    }
    const code = exceptionCode(first, text)
    if (code === undefined) return undefined
    const version = versionIn(/\(version (\S+)/.exec(text)?.[1])
    const evidence = asksForCredentials(code) ? 'asks for a password' : 'the default user may read nothing'
    return { verdict: 'protected', evidence, product, ...version }
  },
})

function isClickHouse({ headers }: HttpAnswer): boolean {
  return Object.keys(headers).some((name) => name.startsWith('x-clickhouse-'))
}

function exceptionCode({ status, headers }: HttpAnswer, text: string): number | undefined {
  if (status < 400) return undefined
  const said = /^Code: (\d{1,5})[.,].*DB::(?:NetException|Exception)/s.exec(text)?.[1]
  return countIn(headers['x-clickhouse-exception-code'] ?? said)
}
