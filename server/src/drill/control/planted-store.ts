import { createHash, createHmac, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { Personal, Secret } from '../../core/index.ts'
import type { Known } from '../known.ts'
import { knownOf, type MarkedHousehold, markedHousehold } from '../seed/cast.ts'
import type { DumpedRow } from '../stores/dump.ts'

/** A store as the one of 2019 was, with people of its own in it. */
export interface PlantedStore {
  files: string[]
  households: MarkedHousehold[]
  /** Each must be found. */
  known: Known[]
  /** One for each household, in clear: the planted target takes them. */
  tokens: Secret[]
  /** Lines of tables, with what is to be found in them by trying and by joining. */
  rows: DumpedRow[]
}

/** Ways in which programs write a value down, made without a look at how the search looks for it. */
const WRITERS: Record<string, (text: string) => Buffer> = {
  plain: (text) => Buffer.from(text),
  'upper case': (text) => Buffer.from(text.toUpperCase()),
  'utf-16, little endian': (text) => Buffer.from(text, 'utf16le'),
  'utf-16, big endian': (text) => Buffer.from(text, 'utf16le').swap16(),
  hex: (text) => Buffer.from(Buffer.from(text).toString('hex')),
  'hex in capitals': (text) => Buffer.from(Buffer.from(text).toString('hex').toUpperCase()),
  base64: (text) => Buffer.from(Buffer.from(`${text}|`).toString('base64')),
  'base64, one byte on': (text) => Buffer.from(Buffer.from(`|${text}|`).toString('base64')),
  'base64, two bytes on': (text) => Buffer.from(Buffer.from(`||${text}|`).toString('base64')),
  base64url: (text) => Buffer.from(Buffer.from(`{"e":"${text}"}`).toString('base64url')),
  url: (text) => Buffer.from(encodeURIComponent(text)),
  form: (text) => Buffer.from(new URLSearchParams({ e: text }).toString()),
  json: (text) => Buffer.from(JSON.stringify({ e: text })),
  gzip: (text) => gzipSync(noise(text)),
  zlib: (text) => deflateSync(noise(text)),
  zstd: (text) => zstdCompressSync(noise(text)),
  zip: (text) => zip(noise(text)),
  'gzip in gzip': (text) => gzipSync(Buffer.concat([randomBytes(99), gzipSync(noise(text))])),
  'gzip of utf-16': (text) => gzipSync(Buffer.from(`${randomBytes(900).toString('hex')}${text}`, 'utf16le')),
  lz4: (text) => lz4(Buffer.from(text)),
}

const HASHES = ['md5', 'sha1', 'sha256', 'sha512', 'sha3-256', 'blake2b512', 'ripemd160', 'sm3']
const HASH_WRITERS: Record<string, (digest: Buffer) => Buffer> = {
  raw: (digest) => digest,
  hex: (digest) => Buffer.from(digest.toString('hex')),
  base64: (digest) => Buffer.from(digest.toString('base64')),
  'its first eight bytes': (digest) => digest.subarray(0, 8),
}

export async function plantStore(folder: string): Promise<PlantedStore> {
  const households = [1, 2, 3].map((number) => ({
    ...markedHousehold(number),
    whose: `planted household ${number}`,
  }))
  const tokens = households.map(() => new Secret(randomBytes(24).toString('hex')))
  const known: Known[] = households.flatMap(knownOf)
  const files: string[] = []
  const plant = async (name: string, content: Buffer | string) => {
    const path = join(folder, name.replaceAll(/[^\w.]+/g, '-'))
    await writeFile(path, content, { mode: 0o600 })
    files.push(path)
  }
  const address = (whose: string): Known => ({
    kind: 'e-mail address',
    whose,
    value: new Personal(`planted-${randomBytes(5).toString('hex')}@drill.example`),
  })

  await plant(
    'users.ndjson',
    households.map((household, index) => document(household, tokens[index] as Secret)).join(''),
  )
  for (const [name, write] of Object.entries(WRITERS)) {
    const each = address(`planted as ${name}`)
    known.push(each)
    await plant(`as ${name}`, Buffer.concat([randomBytes(301), write(each.value.reveal()), randomBytes(77)]))
  }
  for (const hash of HASHES) {
    for (const [form, write] of Object.entries(HASH_WRITERS)) {
      const each = address(`planted as ${hash}, ${form}`)
      known.push(each)
      const digest = createHash(hash).update(each.value.reveal()).digest()
      await plant(`${hash} ${form}`, Buffer.concat([randomBytes(33), write(digest), randomBytes(33)]))
    }
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await plant('backup.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  await plant(
    'backup.der',
    Buffer.concat([
      randomBytes(40),
      generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }),
      randomBytes(40),
    ]),
  )
  return { files, households, known, tokens, rows: plantedRows(households, tokens) }
}

/** A line of `_bulk`, with the fields that stood open. */
function document(household: MarkedHousehold, token: Secret): string {
  const { email, name, password, home, nicknames, networkName, macAddress, serialNumber, ipAddress } =
    household
  const user = {
    email: email.reveal(),
    user_name: name.reveal(),
    password: password.reveal(),
    home: home.reveal(),
    cameras: nicknames.map((nickname) => ({ nickname: nickname.reveal(), firmware: '4.9.4.37' })),
    ssid: networkName.reveal(),
    mac: macAddress.reveal(),
    serial: serialNumber.reveal(),
    ip: ipAddress.reveal(),
    api_token: token.reveal(),
  }
  return `{"index":{"_index":"users"}}\n${JSON.stringify(user)}\n`
}

/** The value in the midst of what compresses, so that its bytes do not stand there as they are. */
function noise(text: string): Buffer {
  return Buffer.from(
    `${randomBytes(700).toString('hex')} ${text} ${text} ${randomBytes(700).toString('hex')}`,
  )
}

function zip(data: Buffer): Buffer {
  const head = Buffer.alloc(30)
  head.write('504b0304', 'hex')
  head.writeUInt16LE(8, 8)
  head.writeUInt16LE(5, 26)
  return Buffer.concat([head, Buffer.from('a.txt'), deflateRawSync(data)])
}

/** A frame with one compressed block: three letters, themselves repeated from three bytes back, then the rest as it is. */
function lz4(data: Buffer): Buffer {
  // Literals with a length of up to 14 + 255, no match after the last.
  const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])
  const first = data.subarray(0, 3)
  const rest = data.subarray(3)
  const block = Buffer.concat([
    Buffer.from([0x30]),
    first,
    Buffer.from([3, 0]),
    Buffer.from([0x30]),
    first,
    Buffer.from([1, 0]),
    Buffer.from([0xf0, first.length + rest.length - 15]),
    first,
    rest,
  ])
  const size = Buffer.alloc(4)
  size.writeUInt32LE(block.length)
  return Buffer.concat([head, size, block, Buffer.alloc(4)])
}

/** By the same shapes as dumps have. Each `table` is one weakness. */
function plantedRows(households: readonly MarkedHousehold[], tokens: readonly Secret[]): DumpedRow[] {
  const [one] = households as [MarkedHousehold]
  const salt = randomBytes(12)
  const digest = (algorithm: string, ...parts: (Buffer | string)[]) => {
    const hash = createHash(algorithm)
    for (const part of parts) hash.update(part)
    return hash.digest()
  }
  const bytea = (bytes: Buffer) => `\\x${bytes.toString('hex')}`
  const email = one.email.reveal().toLowerCase()
  const mac = Number.parseInt(one.macAddress.reveal().replaceAll(':', ''), 16) + 1_234
  const neighbour = (mac.toString(16).padStart(12, '0').match(/../g) ?? []).join(':')
  return [
    { table: 'planted code', fields: { digest: bytea(digest('sha256', one.pin.reveal())) } },
    { table: 'planted address', fields: { digest: digest('md5', '192.168.17.230').toString('hex') } },
    { table: 'planted neighbour', fields: { digest: digest('sha1', neighbour).toString('base64') } },
    { table: 'planted salt', fields: { salt: bytea(salt), digest: bytea(digest('sha256', salt, email)) } },
    {
      table: 'planted mac',
      fields: { key: 'tenant-7', digest: createHmac('sha256', 'tenant-7').update(email).digest('hex') },
    },
    { table: 'planted checksum', fields: { number: crc32(one.email.reveal()) } },
    { table: 'planted times', fields: { user: randomUUID(), last_login: '2019-12-04T09:41:17.302+00:00' } },
    ...tokens.map((token) => ({ table: 'planted sessions', fields: { token: token.reveal() } })),
  ]
}
