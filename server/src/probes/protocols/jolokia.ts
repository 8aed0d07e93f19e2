import type { Http, HttpAnswer } from '../http.ts'
import { asRecord, countIn, fieldsOf, httpProbe, versionIn } from '../http-probe.ts'

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
      if (found) return { verdict: 'open', how: 'no-credentials', product: 'Jolokia', ...found }
    }
    return undefined
  },
})

function asks({ status, headers }: HttpAnswer): boolean {
  return status === 401 && /realm="jolokia"/i.test(headers['www-authenticate'] ?? '')
}

async function readAt(
  http: Http,
  place: string,
): Promise<{ evidence: string; version?: string } | undefined> {
  const about = asRecord(fieldsOf(await http.request({ path: `${place}/version` })).value)
  if (typeof about.protocol !== 'string') return undefined
  const { version } = versionIn(about.agent)
  const uptime = countIn(fieldsOf(await http.request({ path: `${place}${UPTIME}` })).value)
  if (version === undefined || uptime === undefined) return undefined
  return { evidence: 'read an attribute of a managed object', version }
}
