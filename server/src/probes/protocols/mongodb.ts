import { randomInt } from 'node:crypto'
import type { Connection } from '../connection.ts'
import { garbled, isProbeFailure } from '../failure.ts'
import type { Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'
import { type BsonDocument, readBson, writeBson } from './bson.ts'

/** https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ */
export const mongodb: Probe = {
  protocol: 'mongodb',
  name: 'MongoDB',
  defaultPorts: [27017, 27018, 27019],
  run: (target) => target.either(ask),
}

const OP_MSG = 2013
const LONGEST_MESSAGE = 262_144
/** Unauthorized, AuthenticationFailed. */
const ASKS_FOR_CREDENTIALS = [13, 18]

async function ask(target: Target, tls: boolean): Promise<Observation> {
  const connection = await target.connect({ tls })
  try {
    const answer = await command(connection, { listDatabases: 1, nameOnly: true, $db: 'admin' })
    const facts = {
      product: 'MongoDB',
      ...(await versionOf(connection)),
      ...(connection.tls && { tls: connection.tls }),
    }
    if (answer.ok === 1 && Array.isArray(answer.databases)) {
      const evidence = `counted ${answer.databases.length} databases`
      return { ...facts, verdict: 'open', how: 'no-credentials', evidence }
    }
    if (typeof answer.code !== 'number') garbled()
    if (ASKS_FOR_CREDENTIALS.includes(answer.code)) {
      return { ...facts, verdict: 'protected', evidence: 'asks for credentials before it lists databases' }
    }
    return { ...facts, verdict: 'other', evidence: `refuses to list databases, with code ${answer.code}` }
  } finally {
    connection.close()
  }
}

/** buildInfo is answered to anybody, where it is answered at all. */
async function versionOf(connection: Connection): Promise<{ version?: string }> {
  try {
    const { version } = await command(connection, { buildInfo: 1, $db: 'admin' })
    return typeof version === 'string' && /^[\w.-]{1,32}$/.test(version) ? { version } : {}
  } catch (error) {
    if (isProbeFailure(error)) return {}
    throw error
  }
}

async function command(
  connection: Connection,
  document: Record<string, number | string | boolean>,
): Promise<BsonDocument> {
  const requestId = randomInt(1, 0x7fffffff)
  const body = writeBson(document)
  const head = Buffer.alloc(21)
  head.writeInt32LE(head.length + body.length, 0)
  head.writeInt32LE(requestId, 4)
  head.writeInt32LE(OP_MSG, 12)
  connection.write(Buffer.concat([head, body]))
  const answer = await connection.read(16)
  const length = answer.readInt32LE(0) - 16
  // Something else answers in its own words: told before its "length" is waited for.
  if (answer.readInt32LE(12) !== OP_MSG || answer.readInt32LE(8) !== requestId) garbled()
  if (length < 10 || length > LONGEST_MESSAGE) garbled()
  const message = await connection.read(length)
  if (message[4] !== 0) garbled()
  return readBson(message.subarray(5))
}
