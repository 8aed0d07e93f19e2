import { counted, countIn, fieldsOf, httpProbe, versionIn } from '../http-probe.ts'

/** It has no passwords: who reaches it reads who is connected, and from where. */
export const natsMonitoring = httpProbe({
  protocol: 'nats-monitoring',
  name: 'NATS (monitoring)',
  defaultPorts: [8222],
  firstPath: '/varz',
  async observe(http, target) {
    const about = fieldsOf(http.first)
    if (typeof about.server_id !== 'string' || countIn(about.max_payload) === undefined) return undefined
    const known = { product: 'NATS', ...versionIn(about.version) }
    const evidence = 'read the state of the server'
    const open = { verdict: 'open', how: 'no-credentials', evidence, ...known } as const
    target.establish(open)
    const list = fieldsOf(await http.request({ path: '/connz?limit=1' }))
    const connections = countIn(list.total)
    if (connections === undefined) return open
    return { ...open, evidence: `counted ${counted(connections, 'connection', 'connections')}` }
  },
})
