import { basic, type Http } from '../http.ts'
import { asRecord, counted, fieldsOf, httpProbe, versionIn } from '../http-probe.ts'

/** Of images and tutorials: CouchDB itself has had none since version 3, and nobody had to log in before. */
const DEFAULT_PASSWORDS = [
  ['admin', 'admin'],
  ['admin', 'password'],
] as const

export const couchdb = httpProbe({
  protocol: 'couchdb',
  name: 'CouchDB',
  defaultPorts: [5984, 6984],
  tlsPorts: [6984],
  firstPath: '/',
  async observe(http, target) {
    const root = fieldsOf(http.first)
    if (root.couchdb !== 'Welcome') {
      // require_valid_user asks before it says what it is.
      const asks = http.first.status === 401 && /^CouchDB\//.test(http.first.headers.server ?? '')
      return asks ? { verdict: 'protected', evidence: 'asks for credentials', product: 'CouchDB' } : undefined
    }
    const known = { product: 'CouchDB', ...versionIn(root.version) }
    const databases = await databasesAs(http, {})
    if (databases !== undefined) {
      const open = { verdict: 'open', how: 'no-credentials', evidence: databases, ...known } as const
      target.establish(open)
      return { ...open, evidence: `${databases}${await party(http)}` }
    }
    const asks = { verdict: 'protected', evidence: 'asks for credentials', ...known } as const
    target.establish(asks)
    for (const [user, password] of DEFAULT_PASSWORDS) {
      const read = await databasesAs(http, basic(user, password))
      if (read === undefined) continue
      const evidence = `${read} as ${user} with a default password`
      return { verdict: 'open', how: 'default-password', evidence, ...known }
    }
    return asks
  },
})

async function databasesAs(http: Http, headers: Record<string, string>): Promise<string | undefined> {
  const answer = await http.request({ path: '/_all_dbs', headers })
  const names = answer.status === 200 ? answer.json() : undefined
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) return undefined
  return `counted ${counted(names.length, 'database', 'databases')}`
}

/** Without administrators everybody is one. */
async function party(http: Http): Promise<string> {
  const { roles } = asRecord(fieldsOf(await http.request({ path: '/_session' })).userCtx)
  return Array.isArray(roles) && roles.includes('_admin') ? '; everybody is an administrator' : ''
}
