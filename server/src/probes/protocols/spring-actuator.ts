import { asRecord, counted, fieldsOf, httpProbe, isRecord } from '../http-probe.ts'

/** What tells more than that it is well. A heap dump holds every secret of the process: that it is offered is read, and no dump. */
const TELLING = [
  'env',
  'configprops',
  'heapdump',
  'threaddump',
  'httpexchanges',
  'httptrace',
  'logfile',
  'mappings',
  'beans',
]

export const springActuator = httpProbe({
  protocol: 'spring-actuator',
  aliases: ['actuator'],
  name: 'Spring Boot Actuator',
  defaultPorts: [8081],
  firstPath: '/actuator',
  async observe(http, target) {
    const links = fieldsOf(http.first)._links
    if (!isRecord(links) || typeof asRecord(links.self).href !== 'string') return undefined
    const offered = TELLING.filter((name) => isRecord(links[name]))
    const product = 'Spring Boot Actuator'
    if (offered.length === 0) {
      return {
        verdict: 'other',
        evidence: 'Spring Boot Actuator that tells strangers its health at most',
        product,
      }
    }
    const offers = `offers ${offered.join(', ')}`
    const open = { verdict: 'open', how: 'no-credentials', evidence: offers, product } as const
    target.establish(open)
    // One property that every process has, for all of them are many; with it come the sources that were looked through.
    const sources = fieldsOf(await http.request({ path: '/actuator/env/java.version' })).propertySources
    if (!Array.isArray(sources)) return open
    const read = `read ${counted(sources.length, 'source', 'sources')} of its configuration`
    return { ...open, evidence: `${read}; ${offers}` }
  },
})
