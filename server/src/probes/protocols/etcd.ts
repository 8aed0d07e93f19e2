import { garbled } from '../failure.ts'
import { basic, type Http, openHttp } from '../http.ts'
import type { How, Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'

/** https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/ and the v2 API beside it. */
export const etcd: Probe = {
  protocol: 'etcd',
  name: 'etcd (v2, v3)',
  defaultPorts: [2379],
  http: true,
  run: observe,
}

/** The gateway's paths: since 3.4, of 3.3, of 3.2. */
const PREFIXES = ['/v3', '/v3beta', '/v3alpha'] as const
const DEFAULT_ACCOUNTS = [
  { name: 'root', password: 'root' },
  { name: 'root', password: 'etcd' },
] as const
/** From the first key to the last. */
const COUNT_ALL = JSON.stringify({ key: 'AA==', range_end: 'AA==', count_only: true })

interface Facts {
  product: string
  version: string
  tls?: NonNullable<Observation['tls']>
}

async function observe(target: Target): Promise<Observation> {
  const http = await openHttp(target, { path: '/version' })
  const version = (http.first.json() as { etcdserver?: unknown } | undefined)?.etcdserver
  if (http.first.status !== 200 || typeof version !== 'string' || !/^[\w.+-]{1,32}$/.test(version)) garbled()
  const facts: Facts = { product: 'etcd', version, ...(http.first.tls && { tls: http.first.tls }) }
  const third = await byVersion3(target, http, facts)
  if (third?.verdict === 'open') return third
  const second = await byVersion2(http, facts)
  if (second?.verdict === 'open') return second
  return third ?? second ?? { ...facts, verdict: 'other', evidence: 'no API for keys answers' }
}

async function byVersion3(target: Target, http: Http, facts: Facts): Promise<Observation | undefined> {
  for (const prefix of PREFIXES) {
    const answer = await http.request({ method: 'POST', path: `${prefix}/kv/range`, body: COUNT_ALL })
    if (answer.status === 404) continue
    const opened = counted(answer.json(), facts, 'no-credentials')
    if (opened) return opened
    target.establish(refused(facts))
    return (await byDefaultPassword(http, prefix, facts)) ?? refused(facts)
  }
  return undefined
}

function refused(facts: Facts): Observation {
  return { ...facts, verdict: 'protected', evidence: 'asks for credentials' }
}

function counted(answer: unknown, facts: Facts, how: How): Observation | undefined {
  const { header, count = '0' } = (answer ?? {}) as { header?: unknown; count?: unknown }
  // Without keys there is no count; the header is there all the same.
  if (typeof header !== 'object' || header === null || !/^\d{1,19}$/.test(String(count))) return undefined
  return { ...facts, verdict: 'open', how, evidence: `counted ${count} keys (v3)` }
}

async function byDefaultPassword(http: Http, prefix: string, facts: Facts): Promise<Observation | undefined> {
  for (const account of DEFAULT_ACCOUNTS) {
    const signIn = await http.request({
      method: 'POST',
      path: `${prefix}/auth/authenticate`,
      body: JSON.stringify(account),
    })
    const token = (signIn.json() as { token?: unknown } | undefined)?.token
    if (typeof token !== 'string' || !/^[\w.=+/-]{1,4096}$/.test(token)) continue
    const answer = await http.request({
      method: 'POST',
      path: `${prefix}/kv/range`,
      headers: { authorization: token },
      body: COUNT_ALL,
    })
    const opened = counted(answer.json(), facts, 'default-password')
    if (opened) return opened
  }
  return undefined
}

/** Without credentials one is the role `guest`, which may read everything until somebody takes that away. */
async function byVersion2(http: Http, facts: Facts): Promise<Observation | undefined> {
  const path = '/v2/keys/?quorum=false'
  const answer = await http.request({ path })
  if (answer.status === 404 || answer.status >= 500) return undefined
  const opened = listed(answer.json(), answer.truncated, facts, 'no-credentials')
  if (opened) return opened
  if (answer.status !== 401 && answer.status !== 403) return undefined
  for (const { name, password } of DEFAULT_ACCOUNTS) {
    const again = await http.request({ path, headers: basic(name, password) })
    const found = listed(again.json(), again.truncated, facts, 'default-password')
    if (found) return found
  }
  return refused(facts)
}

function listed(answer: unknown, truncated: boolean, facts: Facts, how: How): Observation | undefined {
  if (truncated)
    return { ...facts, verdict: 'open', how, evidence: 'listed keys (v2), more than a probe reads' }
  const { action, node } = (answer ?? {}) as { action?: unknown; node?: { nodes?: unknown } }
  if (action !== 'get' || typeof node !== 'object' || node === null) return undefined
  const nodes = Array.isArray(node.nodes) ? node.nodes.length : 0
  return { ...facts, verdict: 'open', how, evidence: `counted ${nodes} keys and folders at the top (v2)` }
}
