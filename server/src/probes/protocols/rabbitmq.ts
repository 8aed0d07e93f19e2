import { basic, type Http } from '../http.ts'
import { asRecord, counted, countIn, fieldsOf, httpProbe, versionIn } from '../http-probe.ts'

const DEFAULT_PASSWORDS = [
  ['guest', 'guest'],
  ['admin', 'admin'],
  ['user', 'bitnami'],
] as const

export const rabbitmq = httpProbe({
  protocol: 'rabbitmq-management',
  aliases: ['rabbitmq'],
  name: 'RabbitMQ (management)',
  defaultPorts: [15672, 15671],
  tlsPorts: [15671],
  firstPath: '/api/overview',
  async observe(http, target) {
    const known = { product: 'RabbitMQ' }
    const anonymous = overviewIn(fieldsOf(http.first))
    if (anonymous) return { verdict: 'open', how: 'no-credentials', ...known, ...anonymous }
    if (http.first.status !== 401 || !isManagement(http)) return undefined
    const asks = { verdict: 'protected', evidence: 'asks for credentials', ...known } as const
    target.establish(asks)
    for (const [user, password] of DEFAULT_PASSWORDS) {
      const path = '/api/overview'
      const found = overviewIn(fieldsOf(await http.request({ path, headers: basic(user, password) })))
      if (!found) continue
      // RabbitMQ takes this one from its own machine only, unless somebody has changed that.
      const near = user === 'guest' && isLoopback(target.ip) ? ' (asked from its own machine)' : ''
      const evidence = `${found.evidence} as ${user} with a default password${near}`
      return { verdict: 'open', how: 'default-password', ...known, ...found, evidence }
    }
    return asks
  },
})

function isManagement({ first }: Http): boolean {
  const realm = /realm="RabbitMQ Management"/i.test(first.headers['www-authenticate'] ?? '')
  return realm || /^not_authori[sz]ed$/.test(String(asRecord(first.json()).error))
}

function overviewIn(overview: Record<string, unknown>): { evidence: string; version?: string } | undefined {
  const { version } = versionIn(overview.rabbitmq_version)
  if (version === undefined || typeof overview.management_version !== 'string') return undefined
  const queues = countIn(asRecord(overview.object_totals).queues)
  const evidence =
    queues === undefined ? 'read the overview' : `counted ${counted(queues, 'queue', 'queues')}`
  return { evidence, version }
}

function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.')
}
