import type { Connection } from '../connection.ts'
import { garbled } from '../failure.ts'
import { counted, versionIn } from '../http-probe.ts'
import type { Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'
import { asksForCredentials, COUNT_TABLES } from './clickhouse-words.ts'

/** https://clickhouse.com/docs/native-protocol: packets begin with a number, strings and numbers with a variable length. */
const CLIENT = { hello: 0, query: 1, data: 2 } as const
const SERVER = { hello: 0, data: 1, exception: 2, progress: 3, endOfStream: 5, profileInfo: 6 } as const
/** The last before queries tell about their client (54032): what came later is then left out by both sides. */
const REVISION = 54_031
const COMPLETE = 2
/** Fields by their number: not overflowing, no bucket, the end. */
const BLOCK_INFO = Buffer.from('010002ffffffff00', 'hex')
const LONGEST_STRING = 16_384
const MOST_PACKETS = 32

export const clickhouseNative: Probe = {
  protocol: 'clickhouse-native',
  name: 'ClickHouse (native)',
  defaultPorts: [9000, 9440],
  tlsPorts: [9440],
  run: (target) => target.either(ask),
}

async function ask(target: Target, tls: boolean): Promise<Observation> {
  const connection = await target.connect({ tls })
  try {
    return { ...(await observe(connection)), ...(connection.tls && { tls: connection.tls }) }
  } finally {
    connection.close()
  }
}

async function observe(connection: Connection): Promise<Observation> {
  const names = ['hearthlock-probe', 1, 0, REVISION, '', 'default', '']
  connection.write(Buffer.concat([number(CLIENT.hello), ...names.map(encoded)]))
  const answer = await readNumber(connection)
  if (answer === SERVER.exception) return refused(await readException(connection))
  if (answer !== SERVER.hello) garbled()
  if (!/^ClickHouse/.test(await readString(connection))) garbled()
  for (const _ of ['major', 'minor', 'revision']) await readNumber(connection)
  return count(connection)
}

async function count(connection: Connection): Promise<Observation> {
  const noSettings = string('')
  const query = [
    number(CLIENT.query),
    string(''),
    noSettings,
    number(COMPLETE),
    number(0),
    string(COUNT_TABLES),
  ]
  const noData = [number(CLIENT.data), string(''), BLOCK_INFO, number(0), number(0)]
  connection.write(Buffer.concat([...query, ...noData]))
  for (let packets = 0; packets < MOST_PACKETS; packets += 1) {
    switch (await readNumber(connection)) {
      case SERVER.data: {
        const row = await readBlock(connection)
        if (!row) break
        const evidence = `counted ${counted(row.tables, 'table', 'tables')}`
        return {
          verdict: 'open',
          how: 'no-credentials',
          evidence,
          product: 'ClickHouse',
          ...versionIn(row.version),
        }
      }
      case SERVER.exception:
        return refused(await readException(connection))
      case SERVER.progress:
        for (const _ of ['rows', 'bytes', 'total rows']) await readNumber(connection)
        break
      case SERVER.profileInfo:
        for (let field = 0; field < 6; field += 1) await readNumber(connection)
        break
      default:
        garbled()
    }
  }
  return garbled()
}

function refused(code: number): Observation {
  const evidence = asksForCredentials(code) ? 'asks for a password' : 'the default user may read nothing'
  return { verdict: 'protected', evidence, product: 'ClickHouse' }
}

/** The code; the rest of an exception is left unread. */
async function readException(connection: Connection): Promise<number> {
  const code = (await connection.read(4)).readInt32LE()
  if (!/^DB::(?:Net)?Exception/.test(await readString(connection))) garbled()
  return code
}

/** A block is a name, its information and its columns, each with name, type and values. Undefined for the one without rows that tells the types. */
async function readBlock(connection: Connection): Promise<{ tables: number; version: string } | undefined> {
  await readString(connection)
  await connection.read(BLOCK_INFO.length)
  const columns = await readNumber(connection)
  const rows = await readNumber(connection)
  if (columns !== 2 || rows > 1) garbled()
  const types: string[] = []
  let tables = 0
  let version = ''
  for (let column = 0; column < columns; column += 1) {
    await readString(connection)
    types.push(await readString(connection))
    if (rows === 0) continue
    if (column === 0) tables = Number((await connection.read(8)).readBigUInt64LE())
    else version = await readString(connection)
  }
  if (types.join() !== 'UInt64,String') garbled()
  return rows === 0 ? undefined : { tables, version }
}

function encoded(value: string | number): Buffer {
  return typeof value === 'string' ? string(value) : number(value)
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([number(bytes.length), bytes])
}

/** LEB128. */
function number(value: number): Buffer {
  const bytes: number[] = []
  let left = value
  while (left >= 0x80) {
    bytes.push((left & 0x7f) | 0x80)
    left >>>= 7
  }
  return Buffer.from([...bytes, left])
}

async function readNumber(connection: Connection): Promise<number> {
  let value = 0
  for (let place = 0; place < 7; place += 1) {
    const byte = (await connection.read(1)).readUInt8()
    value += (byte & 0x7f) * 2 ** (7 * place)
    if (byte < 0x80) return value
  }
  return garbled()
}

async function readString(connection: Connection): Promise<string> {
  const length = await readNumber(connection)
  if (length > LONGEST_STRING) garbled()
  return (await connection.read(length)).toString('utf8')
}
