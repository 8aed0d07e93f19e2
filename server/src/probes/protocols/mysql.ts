import { garbled } from '../failure.ts'
import type { How, Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'
import { MysqlPackets, type Refusal, readGreeting, refusalOf, signIn } from './mysql-protocol.ts'

export const mysql: Probe = {
  protocol: 'mysql',
  aliases: ['mariadb'],
  name: 'MySQL, MariaDB',
  defaultPorts: [3306],
  // A greeting, or a refusal before it: length, sequence number 0, then 10 or 255.
  greets: (banner) => banner.length > 5 && banner[3] === 0 && (banner[4] === 10 || banner[4] === 255),
  run: observe,
}

interface Account {
  user: string
  password: string
  how: How
}

const ACCOUNTS: readonly Account[] = [
  { user: 'root', password: '', how: 'no-credentials' },
  { user: '', password: '', how: 'anonymous-role' },
  { user: 'root', password: 'root', how: 'default-password' },
  { user: 'root', password: 'password', how: 'default-password' },
]

/** The server looks at where one comes from before anything else. */
const HOST_REFUSED = [1130, 1129]

async function observe(target: Target): Promise<Observation> {
  let last: Observation | undefined
  for (const account of ACCOUNTS) {
    last = await tryAccount(target, account)
    if (last.verdict !== 'protected' || last.evidence === HOST_EVIDENCE) return last
    target.establish(last)
  }
  return last ?? garbled()
}

const HOST_EVIDENCE = 'refuses this address before asking who it is'

async function tryAccount(target: Target, account: Account): Promise<Observation> {
  const connection = await target.connect()
  try {
    const packets = new MysqlPackets(connection)
    const greeting = readGreeting(await packets.read())
    if ('refusal' in greeting) return refusedAtOnce(greeting.refusal)
    const facts = { product: greeting.product, version: greeting.version }
    const refusal = await signIn({ packets, greeting, ...account })
    const tls = connection.tls && { tls: connection.tls }
    if (refusal) {
      const evidence = HOST_REFUSED.includes(refusal.code) ? HOST_EVIDENCE : 'asks for a password'
      return { ...facts, ...tls, verdict: 'protected', evidence }
    }
    const count = await countSchemas(packets)
    const who = account.user === '' ? 'the anonymous user' : account.user
    return {
      ...facts,
      ...tls,
      verdict: 'open',
      how: account.how,
      evidence: `counted ${count} schemas as ${who}`,
    }
  } finally {
    connection.close()
  }
}

function refusedAtOnce({ code }: Refusal): Observation {
  if (HOST_REFUSED.includes(code)) return { verdict: 'protected', evidence: HOST_EVIDENCE, product: 'MySQL' }
  return { verdict: 'other', evidence: `refuses with error ${code} before it greets`, product: 'MySQL' }
}

/** COM_QUERY in the text protocol: column count, definitions, EOF, rows, EOF. */
async function countSchemas(packets: MysqlPackets): Promise<string> {
  packets.restart()
  packets.write(
    Buffer.concat([Buffer.from([3]), Buffer.from('SELECT COUNT(*) FROM information_schema.schemata')]),
  )
  const head = await packets.read()
  if (refusalOf(head) || head[0] !== 1) garbled()
  await packets.read()
  const afterColumns = await packets.read()
  if (afterColumns[0] !== 0xfe) garbled()
  const row = await packets.read()
  const text = row.toString('latin1', 1, 1 + (row[0] ?? 0))
  return /^\d{1,10}$/.test(text) ? text : garbled()
}
