import type { HttpAnswer } from '../http.ts'
import { asRecord, counted, countIn, fieldsOf, httpProbe, versionIn } from '../http-probe.ts'

/** How many targets it watches: cheap, whatever it holds. */
const COUNT_TARGETS = '/api/v1/query?query=count(up)'

export const prometheus = httpProbe({
  protocol: 'prometheus',
  name: 'Prometheus',
  defaultPorts: [9090],
  firstPath: COUNT_TARGETS,
  async observe(http, target) {
    if (asksAsPrometheusDoes(http.first)) {
      return { verdict: 'protected', evidence: 'asks for credentials', product: 'Prometheus' }
    }
    const { status, data } = fieldsOf(http.first)
    const { resultType, result } = asRecord(data)
    if (status !== 'success' || resultType !== 'vector' || !Array.isArray(result)) return undefined
    const [, value] = (asRecord(result[0]).value ?? []) as unknown[]
    const evidence = `a query counted ${counted(countIn(value) ?? 0, 'target', 'targets')}`
    const open = { verdict: 'open', how: 'no-credentials', evidence, product: 'Prometheus' } as const
    target.establish(open)
    const build = asRecord(fieldsOf(await http.request({ path: '/api/v1/status/buildinfo' })).data)
    return { ...open, ...versionIn(build.version) }
  },
})

/** Its own password check, which its exporters share, names no realm (github.com/prometheus/exporter-toolkit). */
export function asksAsPrometheusDoes({ status, headers, body }: HttpAnswer): boolean {
  return (
    status === 401 && headers['www-authenticate'] === 'Basic' && body.toString('latin1') === 'Unauthorized\n'
  )
}
