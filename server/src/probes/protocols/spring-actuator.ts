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
  async observe(http) {
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
    // One property that every process has, for all of them are many; with it come the sources that were looked through.
    const sources = fieldsOf(await http.request({ path: '/actuator/env/java.version' })).propertySources
    const read = Array.isArray(sources)
      ? [`read ${counted(sources.length, 'source', 'sources')} of its configuration`]
      : []
    const evidence = [...read, `offers ${offered.join(', ')}`].join('; ')
    return { verdict: 'open', how: 'no-credentials', evidence, product }
  },
})
