import type { Http, HttpAnswer } from '../http.ts'
import { asRecord, counted, fieldsOf, httpProbe, isRefusal, versionIn } from '../http-probe.ts'
import type { Observation } from '../observation.ts'

const product = 'InfluxDB'
const SHOW_DATABASES = `/query?q=${encodeURIComponent('SHOW DATABASES')}`

export const influxdb = httpProbe({
  protocol: 'influxdb',
  name: 'InfluxDB',
  defaultPorts: [8086, 8181],
  firstPath: '/ping',
  async observe(http) {
    const said = http.first.headers['x-influxdb-version']
    if (said === undefined) return undefined
    const { version } = versionIn(said)
    const known = { product, ...(version !== undefined && { version }) }
    return { ...(await (/^v?1\./.test(said) ? readOne(http) : readLater(http))), ...known }
  },
})

/** 1.x: without authentication whoever asks is an administrator. */
async function readOne(http: Http): Promise<Observation> {
  const answer = await http.request({ path: SHOW_DATABASES })
  const [result] = arrayIn(fieldsOf(answer).results)
  const [series] = arrayIn(asRecord(result).series)
  const { name, values } = asRecord(series)
  if (name === 'databases') return opened(arrayIn(values).length)
  return refusedOr(answer)
}

/** 2.x and 3.x: tokens. Before somebody has set a 2.x up, whoever comes first is its owner. */
async function readLater(http: Http): Promise<Observation> {
  const buckets = await http.request({ path: '/api/v2/buckets?limit=1' })
  if (Array.isArray(fieldsOf(buckets).buckets)) return opened(arrayIn(fieldsOf(buckets).buckets).length)
  if (fieldsOf(await http.request({ path: '/api/v2/setup' })).allowed === true) {
    return {
      verdict: 'open',
      how: 'no-credentials',
      evidence: 'has not been set up: whoever comes first owns it',
    }
  }
  const databases = await http.request({ path: '/api/v3/configure/database?format=json' })
  if (databases.status === 200 && Array.isArray(databases.json()))
    return opened(arrayIn(databases.json()).length)
  return refusedOr(isRefusal(buckets) ? buckets : databases)
}

function opened(databases: number): Observation {
  return {
    verdict: 'open',
    how: 'no-credentials',
    evidence: `counted ${counted(databases, 'database', 'databases')}`,
  }
}

function refusedOr(answer: HttpAnswer): Observation {
  return isRefusal(answer)
    ? { verdict: 'protected', evidence: 'asks for credentials' }
    : { verdict: 'other', evidence: 'InfluxDB that answered neither with databases nor with a refusal' }
}

function arrayIn(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
