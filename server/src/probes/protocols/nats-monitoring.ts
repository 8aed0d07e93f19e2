import { counted, countIn, fieldsOf, httpProbe, versionIn } from '../http-probe.ts'

/** It has no passwords: who reaches it reads who is connected, and from where. */
export const natsMonitoring = httpProbe({
  protocol: 'nats-monitoring',
  name: 'NATS (monitoring)',
  defaultPorts: [8222],
  firstPath: '/varz',
  async observe(http) {
    const about = fieldsOf(http.first)
    if (typeof about.server_id !== 'string' || countIn(about.max_payload) === undefined) return undefined
    const list = fieldsOf(await http.request({ path: '/connz?limit=1' }))
    const connections = countIn(list.total)
    const evidence =
      connections === undefined
        ? 'read the state of the server'
        : `counted ${counted(connections, 'connection', 'connections')}`
    return { verdict: 'open', how: 'no-credentials', evidence, product: 'NATS', ...versionIn(about.version) }
  },
})
