import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Personal } from '../../src/core/index.ts'
import { createWorld, definition, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

/** Every value of every column of the room's tables, as bytes and as PostgreSQL's text. */
async function dump(): Promise<Buffer> {
  const { pool } = world.database
  const { rows } = await pool.query<{ table_name: string }>(
    "select table_name from information_schema.tables where table_schema = 'registry'",
  )
  const parts: Buffer[] = []
  for (const { table_name } of rows) {
    const whole = await pool.query(`select r::text as row_text, r.* from registry.${table_name} r`)
    for (const row of whole.rows) {
      for (const value of Object.values(row)) {
        parts.push(
          Buffer.isBuffer(value)
            ? value
            : Buffer.from(String(typeof value === 'object' ? JSON.stringify(value) : value)),
        )
      }
    }
  }
  return Buffer.concat(parts)
}

function spellings(plain: Buffer): Buffer[] {
  const base64 = [0, 1, 2].map((shift) =>
    // At any offset within a longer base64 text: without the characters that its neighbours touch.
    Buffer.concat([Buffer.alloc(shift), plain])
      .toString('base64')
      .slice(shift ? 4 : 0)
      .replace(/.{0,4}={0,2}$/, ''),
  )
  const texts = [
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    plain.toString('hex'),
    plain.toString('hex').toUpperCase(),
  ]
  return [plain, Buffer.from(plain.toString(), 'utf16le'), ...texts.map((text) => Buffer.from(text))]
}

function finds(haystack: Buffer, secret: string | Buffer): boolean {
  const plain = Buffer.isBuffer(secret) ? secret : Buffer.from(secret)
  return spellings(plain).some((spelling) => spelling.length >= 8 && haystack.includes(spelling))
}

it('no column holds a name, a nickname, a claim code, a password or a private key', async () => {
  const { id } = await world.registry.addModel(definition('hearth-lock'))
  const devices = await world.registry.provision({ modelId: id, count: 3 }, { withPassword: true })
  const { accountId, household } = await world.settle('Haus am Waldrand')
  for (const device of devices) {
    world.online.add(device.deviceId)
    await world.registry.claim({
      accountId,
      householdId: household.householdId,
      code: device.claimCode,
      nickname: new Personal('Hintereingang links'),
    })
  }
  await world.registry.renameDevice(
    accountId,
    devices[0]?.deviceId as never,
    new Personal('Gartentor rechts'),
  )
  const server = await world.registry.serverIdentity(['localhost'])

  const secrets: (string | Buffer)[] = [
    'Haus am Waldrand',
    'Hintereingang links',
    'Gartentor rechts',
    'PRIVATE KEY',
  ]
  for (const device of devices) {
    const code = device.claimCode.reveal()
    secrets.push(
      code,
      code.replaceAll('-', ''),
      `HEARTH:1:${code.replaceAll('-', '')}`,
      device.password?.reveal() ?? '',
    )
    secrets.push(Buffer.from(device.password?.reveal() ?? '', 'base64url'))
  }
  for (const pem of [
    ...devices.map((device) => device.privateKeyPem?.reveal() ?? ''),
    server.privateKeyPem.reveal(),
  ]) {
    const der = Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64')
    // In PKCS#8 of P-256 the private scalar stands at offset 36 (RFC 5958, RFC 5915).
    secrets.push(der, der.subarray(36, 68), pem.split('\n')[1] ?? '')
  }
  const haystack = await dump()
  expect(haystack.length).toBeGreaterThan(1000)
  for (const [at, secret] of secrets.entries()) expect([at, finds(haystack, secret)]).toEqual([at, false])
})

it('the search above would find a secret in any of these spellings', async () => {
  const secret = randomBytes(24)
  const planted = [
    secret,
    Buffer.from(secret.toString('hex')),
    Buffer.from(secret.toString('base64url')),
    Buffer.from(Buffer.concat([Buffer.from('x'), secret, Buffer.from('yz')]).toString('base64')),
  ]
  for (const each of planted)
    expect(finds(Buffer.concat([randomBytes(100), each, randomBytes(100)]), secret)).toBe(true)
  // And it does reach what is stored: the public key and the model's title stand in plain.
  const haystack = await dump()
  expect(finds(haystack, 'Hearth Lock')).toBe(true)
})

it('what is printed of a provisioned device shows no credential', async () => {
  const device = await world.provisionOne('hearth-lock', true)
  const shown = `${JSON.stringify(device)}${String(device.claimCode)}${String(device.password)}`
  for (const secret of [device.claimCode, device.password, device.privateKeyPem]) {
    expect(shown).not.toContain(secret?.reveal())
  }
})

it('the length of a sealed name tells nothing, and no space of its own is lost', async () => {
  const { accountId } = await world.settle('X')
  const names = ['X', 'Haus am Waldrand', 'Ü'.repeat(80), '🏡'.repeat(80)]
  const made: Awaited<ReturnType<typeof world.registry.createHousehold>>[] = []
  for (const name of names) {
    made.push(await world.registry.createHousehold(accountId, { name: new Personal(name) }))
  }
  const { rows } = await world.database.pool.query(
    'select distinct octet_length(name) from registry.household',
  )
  expect(rows).toHaveLength(1)
  for (const [at, { householdId }] of made.entries()) {
    const { name } = await world.registry.household(accountId, householdId)
    expect(name.reveal()).toBe(names[at])
  }
})

it('many requests at once make no more households than one after the other', async () => {
  const { accountId } = await world.settle('First')
  const attempts = Array.from({ length: 30 }, () =>
    world.registry.createHousehold(accountId, { name: new Personal('Another') }),
  )
  const outcomes = await Promise.allSettled(attempts)
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(19)
})
