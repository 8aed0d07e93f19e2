import { isIPv6 } from 'node:net'
import { counted, fieldsOf, httpProbe, isRecord, versionIn } from '../http-probe.ts'

/** Whoever reaches an inspector runs code in the process. Which targets there are is read, and none is attached to. */
export const inspector = httpProbe({
  protocol: 'inspector',
  aliases: ['node-inspector', 'devtools'],
  name: 'Node.js and Chromium inspectors',
  defaultPorts: [9229, 9222],
  firstPath: '/json/version',
  async observe(http, target) {
    // Names in Host are refused, against rebinding; a stranger would write the address as well.
    const ip = isIPv6(target.ip) ? `[${target.ip}]` : target.ip
    const headers = { host: `${ip}:${target.port}` }
    const about = fieldsOf(await http.request({ path: '/json/version', headers }))
    const [, name, version] = /^(node\.js|[A-Za-z]*Chrom[a-z]*)\/(\S+)$/.exec(String(about.Browser)) ?? []
    if (name === undefined || typeof about['Protocol-Version'] !== 'string') return undefined
    const list = await http.request({ path: '/json/list', headers })
    const targets = list.json()
    if (!Array.isArray(targets) || !targets.every(isRecord)) return undefined
    const evidence = `listed ${counted(targets.length, 'target', 'targets')} that can be debugged`
    const product = name === 'node.js' ? 'Node.js' : 'Chromium'
    return { verdict: 'open', how: 'no-credentials', evidence, product, ...versionIn(version) }
  },
})
