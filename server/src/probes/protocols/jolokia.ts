import type { Http, HttpAnswer } from '../http.ts'
import { asRecord, countIn, fieldsOf, httpProbe, versionIn } from '../http-probe.ts'
import type { Observation } from '../observation.ts'

/** Where the agent of a Java process, a web application and Spring Boot have it. */
const PLACES = ['/jolokia', '/actuator/jolokia'] as const
const UPTIME = '/read/java.lang:type=Runtime/Uptime'

export const jolokia = httpProbe({
  protocol: 'jolokia',
  name: 'Jolokia (JMX over HTTP)',
  defaultPorts: [8778],
  firstPath: `${PLACES[0]}/version`,
  async observe(http) {
    if (asks(http.first))
      return { verdict: 'protected', evidence: 'asks for credentials', product: 'Jolokia' }
    for (const place of PLACES) {
      const found = await readAt(http, place)
      if (found) return { product: 'Jolokia', ...found }
    }
    return undefined
  },
})

function asks({ status, headers }: HttpAnswer): boolean {
  return status === 401 && /realm="jolokia"/i.test(headers['www-authenticate'] ?? '')
}

async function readAt(http: Http, place: string): Promise<Observation | undefined> {
  const about = asRecord(fieldsOf(await http.request({ path: `${place}/version` })).value)
  const { version } = versionIn(about.agent)
  if (version === undefined) return undefined
  const uptime = fieldsOf(await http.request({ path: `${place}${UPTIME}` }))
  // Its own statuses stand in the answer, whose HTTP status is 200.
  if (uptime.status === 403) {
    return { verdict: 'protected', evidence: 'tells its version, and lets no attribute be read', version }
  }
  if (countIn(uptime.value) === undefined) return undefined
  return {
    verdict: 'open',
    how: 'no-credentials',
    evidence: 'read an attribute of a managed object',
    version,
  }
}
