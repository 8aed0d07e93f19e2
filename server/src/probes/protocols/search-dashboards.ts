import { basic, type Http, type HttpAnswer } from '../http.ts'
import { asRecord, counted, countIn, fieldsOf, httpProbe, versionIn } from '../http-probe.ts'
import type { Observation } from '../observation.ts'

interface Kind {
  product: 'Kibana' | 'OpenSearch Dashboards'
  /** Without it a server takes nothing but GET. It says that a browser was not tricked into asking. */
  xsrf: Record<string, string>
  defaults: readonly (readonly [string, string])[]
}

const KIBANA: Kind = {
  product: 'Kibana',
  xsrf: { 'kbn-xsrf': 'hearthlock-probe' },
  defaults: [['elastic', 'changeme']],
}
const DASHBOARDS: Kind = {
  product: 'OpenSearch Dashboards',
  xsrf: { 'osd-xsrf': 'hearthlock-probe' },
  defaults: [['admin', 'admin']],
}
/** The development console sends it on to the cluster behind: a count is all that is asked for. */
const THROUGH_THE_CONSOLE = '/api/console/proxy?path=_count&method=GET'
const SAVED_OBJECTS = '/api/saved_objects/_find?type=index-pattern&per_page=1&fields=type'

export const searchDashboards = httpProbe({
  protocol: 'kibana',
  aliases: ['opensearch-dashboards'],
  name: 'Kibana, OpenSearch Dashboards',
  defaultPorts: [5601],
  firstPath: '/api/status',
  async observe(http, target) {
    const kind = kindOf(http.first)
    if (!kind) return undefined
    const status = fieldsOf(http.first)
    const said =
      asRecord(status.version).number ??
      http.first.headers['kbn-version'] ??
      http.first.headers['osd-version']
    const known = { product: kind.product, ...versionIn(said) }
    const read = await readAs(http, kind, {})
    if (read !== undefined) return { verdict: 'open', how: 'no-credentials', evidence: read, ...known }
    const asks = { verdict: 'protected', evidence: 'asks for credentials', ...known } as const
    target.establish(asks)
    const byDefault = await readByDefaultPassword(http, kind)
    return byDefault ? { ...byDefault, ...known } : asks
  },
})

/** Both name themselves in the headers of each answer, also of refusals. */
function kindOf({ headers }: HttpAnswer): Kind | undefined {
  if (headers['osd-name'] !== undefined || headers['osd-version'] !== undefined) return DASHBOARDS
  return headers['kbn-name'] !== undefined || headers['kbn-version'] !== undefined ? KIBANA : undefined
}

async function readAs(
  http: Http,
  kind: Kind,
  credentials: Record<string, string>,
): Promise<string | undefined> {
  const headers = { ...kind.xsrf, ...credentials }
  const through = await http.request({ method: 'POST', path: THROUGH_THE_CONSOLE, body: '', headers })
  const documents = countIn(fieldsOf(through).count)
  if (documents !== undefined) {
    return `counted ${counted(documents, 'document', 'documents')} of the cluster behind it`
  }
  const found = countIn(fieldsOf(await http.request({ path: SAVED_OBJECTS, headers: credentials })).total)
  return found === undefined ? undefined : `counted ${counted(found, 'index pattern', 'index patterns')}`
}

async function readByDefaultPassword(http: Http, kind: Kind): Promise<Observation | undefined> {
  for (const [user, password] of kind.defaults) {
    const read = await readAs(http, kind, basic(user, password))
    if (read !== undefined) {
      return {
        verdict: 'open',
        how: 'default-password',
        evidence: `${read} as ${user} with a default password`,
      }
    }
  }
  return undefined
}
