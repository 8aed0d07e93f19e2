import { basic, type Http, type HttpAnswer } from '../http.ts'
import { asRecord, counted, countIn, fieldsOf, httpProbe, isRefusal, versionIn } from '../http-probe.ts'
import type { How, Observation } from '../observation.ts'

type Product = 'Elasticsearch' | 'OpenSearch'

/** Of demonstration configurations; OpenSearch before 2.12 shipped with the first, Elasticsearch before 6 with the second. */
const DEFAULT_PASSWORDS: Record<Product, readonly (readonly [string, string])[]> = {
  OpenSearch: [['admin', 'admin']],
  Elasticsearch: [['elastic', 'changeme']],
}
/** Without the indices of the system, which nobody reads: they would refuse the rest as well. */
const COUNT = '/*,-.*/_count'
/** Who a request without credentials was: https://opensearch.org/docs/latest/security/ and Elastic's anonymous users. */
const WHO_AM_I: Record<Product, string> = {
  OpenSearch: '/_plugins/_security/authinfo',
  Elasticsearch: '/_security/_authenticate',
}

export const searchCluster = httpProbe({
  protocol: 'elasticsearch',
  aliases: ['opensearch'],
  name: 'Elasticsearch, OpenSearch',
  defaultPorts: [9200],
  firstPath: '/',
  async observe(http, target) {
    const root = fieldsOf(http.first)
    const product = productOf(http.first, root)
    if (!product) return undefined
    const { version } = versionIn(asRecord(root.version).number)
    const known = { product, ...(version !== undefined && { version }) }
    const asks = { verdict: 'protected', evidence: 'asks for credentials', ...known } as const
    if (isRefusal(http.first)) target.establish(asks)
    // A role may be kept from the first page, and not from the data.
    const read = http.first.status === 401 ? undefined : await readAs(http, {})
    if (read !== undefined) {
      const open = { verdict: 'open', how: 'no-credentials', evidence: read, ...known } as const
      target.establish(open)
      return { ...open, how: await byWhichRight(http, product) }
    }
    const byDefault = await readByDefaultPassword(http, product)
    return byDefault ? { ...byDefault, ...known } : asks
  },
})

function productOf(first: HttpAnswer, root: Record<string, unknown>): Product | undefined {
  const asks = first.headers['www-authenticate'] ?? ''
  const text = first.status === 200 ? '' : first.body.toString('latin1', 0, 4_096)
  const version = asRecord(root.version)
  if (version.distribution === 'opensearch') return 'OpenSearch'
  if (typeof root.cluster_name === 'string' && typeof version.lucene_version === 'string')
    return 'Elasticsearch'
  if (/OpenSearch Security|Open Distro Security|opendistro_security/i.test(`${asks} ${text}`))
    return 'OpenSearch'
  if (!isRefusal(first)) return undefined
  if (/^elasticsearch$/i.test(first.headers['x-elastic-product'] ?? '')) return 'Elasticsearch'
  return text.includes('"security_exception"') ? 'Elasticsearch' : undefined
}

/** What can be read: the documents' count, or at least the indices' names, which are counted and forgotten. */
async function readAs(http: Http, headers: Record<string, string>): Promise<string | undefined> {
  const count = await http.request({ path: COUNT, headers })
  if (count.status === 401) return undefined
  const documents = countIn(fieldsOf(count).count)
  const listed = await http.request({ path: '/_cat/indices?h=index', headers })
  const names = isList(listed) ? listed.body.toString('utf8').split('\n').filter(Boolean).length : undefined
  const indices = names === undefined ? undefined : counted(names, 'index', 'indices')
  if (documents === undefined) return indices === undefined ? undefined : `listed ${indices}`
  const inThem = indices === undefined ? '' : ` in ${indices}`
  return `counted ${counted(documents, 'document', 'documents')}${inThem}`
}

function isList({ status, headers, truncated }: HttpAnswer): boolean {
  return status === 200 && !truncated && (headers['content-type'] ?? '').startsWith('text/plain')
}

async function byWhichRight(http: Http, product: Product): Promise<How> {
  const me = fieldsOf(await http.request({ path: WHO_AM_I[product] }))
  const name = me.user_name ?? me.username
  return typeof name === 'string' && /anonymous/.test(name) ? 'anonymous-role' : 'no-credentials'
}

async function readByDefaultPassword(http: Http, product: Product): Promise<Observation | undefined> {
  for (const [user, password] of DEFAULT_PASSWORDS[product]) {
    const read = await readAs(http, basic(user, password))
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
