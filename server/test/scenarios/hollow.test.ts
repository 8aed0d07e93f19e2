import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { findIn, readAllBytes } from '../support/hollow.ts'
import { CUSTOMER, claim, connect, OPERATOR, provision, settle } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

const HOME = 'Marked home of the Lovelaces'
const NICKNAME = 'Marked garden door'

describe('a stolen copy is hollow', () => {
  let at: Installation
  let client: MqttClient
  const known: Record<string, string> = {
    email: CUSTOMER.email,
    name: CUSTOMER.name,
    password: CUSTOMER.password,
    operatorEmail: OPERATOR.email,
    operatorName: OPERATOR.name,
    operatorPassphrase: OPERATOR.passphrase,
    home: HOME,
    nickname: NICKNAME,
    event: 'DoorLock.LockOperation',
    attribute: '254254',
    messageId: 'marked-message-id-1',
    result: 'MARKED_RESULT',
  }

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    known.enrolmentCode = /--code (\S+)/.exec(at.output())?.[1] ?? ''
    await settle(at, HOME)
    const [lock] = await provision(at, 'hearth-lock', 1, '--with-password')
    if (!lock) throw new Error('no lock')
    client = await connect(at, lock)
    await claim(at, lock, NICKNAME)
    known.claimCode = lock.claimCode
    known.claimCodeBare = lock.claimCode.replaceAll('-', '')
    known.devicePassword = (await readFile(join(lock.folder, 'password'), 'utf8')).trim()
    const pem = await readFile(join(lock.folder, 'device.key'), 'utf8')
    known.deviceKey = pem.replace(/-----[^-]+-----|\s/g, '').slice(40, 120)
    const own = `hearth/1/${lock.deviceId}`
    client.on('message', (_topic, message) => {
      client.publish(
        `${own}/results`,
        JSON.stringify({ id: JSON.parse(message.toString()).id, status: 'SUCCESS' }),
        { qos: 1 },
      )
    })
    await client.subscribeAsync(`${own}/commands`, { qos: 1 })
    const operation = {
      LockOperationType: 'Unlock',
      OperationSource: 'Manual',
      UserIndex: null,
      FabricIndex: null,
      SourceNode: null,
    }
    await client.publishAsync(
      `${own}/events`,
      JSON.stringify({ 'DoorLock.LockOperation': operation, $id: known.messageId }),
      { qos: 1 },
    )
    await client.publishAsync(`${own}/attributes`, '{"DoorLock.AutoRelockTime":254254}', { qos: 1 })
    await at.cli(['unlock', NICKNAME])
    await vi.waitFor(async () => expect((await at.cli(['timeline', NICKNAME])).stdout).toContain('254254'), {
      timeout: 20_000,
    })
    for (const file of ['customer.json', 'operator.json']) {
      const session = JSON.parse(await readFile(join(at.directory, '.config', 'hearthlock', file), 'utf8'))
      for (const [name, value] of Object.entries(flatten(session))) {
        if (/token/i.test(name) && !/type|expires|at$/i.test(name)) known[`${file} ${name}`] = value
      }
    }
  }, 120_000)

  afterAll(async () => {
    client?.end(true)
    await at.dispose()
  })

  it('the search itself finds a value in every form, where it is planted', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'planted-'))
    try {
      const value = 'ada@example.org'
      await writeFile(join(directory, 'plain'), `xx${value}xx`)
      await writeFile(join(directory, 'base64'), Buffer.from(`y${value}yy`).toString('base64'))
      await writeFile(join(directory, 'utf16'), Buffer.from(value, 'utf16le'))
      const found = findIn(await readAllBytes(directory), { value })
      for (const file of ['plain', 'base64', 'utf16']) {
        expect(found.some((line) => line.endsWith(join(directory, file)))).toBe(true)
      }
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('the test knows the tokens that it looks for', () => {
    expect(Object.keys(known).filter((name) => /refresh/i.test(name)).length).toBeGreaterThanOrEqual(2)
    for (const value of Object.values(known)) expect(value.length).toBeGreaterThan(5)
  })

  it('a copy of the running installation’s files holds no name, no content and no credential', async () => {
    const files = await readAllBytes(at.dataDir)
    expect([...files.keys()].some((path) => path.includes('pg_wal'))).toBe(true)
    expect(findIn(files, known)).toEqual([])
  })

  it('nor does the copy after a clean stop, nor what the server printed to its log', async () => {
    const printed = at.output().replaceAll(known.enrolmentCode ?? '', '')
    expect(await at.stop()).toBe(0)
    expect(findIn(await readAllBytes(at.dataDir), known)).toEqual([])
    expect(findIn(new Map([['output', Buffer.from(printed)]]), known)).toEqual([])
    await at.start()
  }, 60_000)

  it('the root key is in none of the files', async () => {
    const key = JSON.parse(await readFile(at.rootKeyFile, 'utf8')).keys[0].secret as string
    const raw = Buffer.from(key, 'base64url')
    for (const [path, content] of await readAllBytes(at.dataDir)) {
      expect(content.includes(raw), path).toBe(false)
      expect(content.includes(key), path).toBe(false)
    }
  })
})

function flatten(value: unknown, name = ''): Record<string, string> {
  if (typeof value === 'string') return { [name]: value }
  if (typeof value !== 'object' || value === null) return {}
  return Object.assign({}, ...Object.entries(value).map(([key, member]) => flatten(member, `${name}.${key}`)))
}
