import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { claim, connect, type FactoryDevice, provision, settle, signUp } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

const PASSWORD = 'another correct horse battery'

/** Two people and support around one home, with commands only. */
// Many commands, each a process of its own.
describe('people of a home, on the command line', { timeout: 180_000 }, () => {
  let at: Installation
  let lock: FactoryDevice
  let socket: MqttClient
  /** Bob's own machine: his sessions are his. */
  const bobs = () => ({ HEARTHLOCK_SESSION_DIR: join(at.directory, 'bob') })

  async function ok(
    args: string[],
    options: { input?: string; env?: NodeJS.ProcessEnv } = {},
  ): Promise<string> {
    const result = await at.cli(args, options)
    expect(result, args.join(' ')).toMatchObject({ code: 0 })
    return result.stdout
  }
  const bob = (args: string[], input?: string) =>
    ok(args, { env: bobs(), ...(input === undefined ? {} : { input }) })
  const refusedToBob = async (args: string[]) => expect((await at.cli(args, { env: bobs() })).code).toBe(1)
  const codeOf = (printed: string) => /[0-9A-Z]{4}(-[0-9A-Z]{4}){3}/.exec(printed)?.[0] ?? ''

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await settle(at, 'Home')
    const [made] = await provision(at, 'hearth-lock', 1)
    lock = made as FactoryDevice
    socket = await connect(at, lock)
    await claim(at, lock, 'Front door')
    await signUp(at, { email: 'bob@example.org', name: 'Bob', password: PASSWORD })
    await bob(['sign-in', '--email', 'bob@example.org'], PASSWORD)
  }, 120_000)
  afterAll(async () => {
    socket?.end(true)
    await at.dispose()
  })

  it('a guest is invited by a link, sees what was granted, and is cut off when removed', async () => {
    const until = new Date(Date.now() + 86_400_000).toISOString()
    const printed = await ok([
      'homes',
      'invite',
      '--until',
      until,
      '--hours',
      'mon-sun 00:00-00:00',
      '--view',
      'Front door',
    ])
    const link = /\S+\/join#\S+/.exec(printed)?.[0] ?? ''
    const listed = await ok(['homes', 'invitations'])
    expect(listed).toContain('Front door (view)')
    await ok(['homes', 'invite', '--as', 'adult'])
    const other = /^([0-9a-f-]{36})\s+adult/m.exec(await ok(['homes', 'invitations']))?.[1] ?? ''
    await ok(['homes', 'revoke', other])
    expect(await ok(['homes', 'invitations'])).toBe(listed)
    expect(await bob(['homes', 'join'], link)).toContain('You are in the home Home, as guest')
    expect(await bob(['devices'])).toContain('Front door')
    await refusedToBob(['unlock', 'Front door', '--wait', '0'])
    await refusedToBob(['homes', 'members'])
    expect(await ok(['homes', 'members'])).toMatch(/Bob\s+guest/)
    await ok(['homes', 'remove', 'Bob'])
    expect(await bob(['devices'])).not.toContain('Front door')
    expect(await ok(['homes', 'log'])).toMatch(/removed Bob, who was guest[\s\S]*Bob joined as guest/)
  })

  it('support is let in by a code, seen in the log, and sent out', async () => {
    await ok(['homes', 'support', 'give', codeOf(await ok(['support', 'request'])), '--device', 'Front door'])
    expect(await ok(['support'])).toContain(lock.deviceId)
    expect(await ok(['support', 'device', lock.deviceId])).toContain(lock.deviceId)
    expect(
      (await at.cli(['support', 'command', lock.deviceId, 'DoorLock.UnlockDoor', '--wait', '0'])).code,
    ).toBe(1)
    expect(await ok(['homes', 'log'])).toContain('used Front door: view')
    expect(await ok(['homes', 'support'])).toContain('Olga')
    await ok(['homes', 'support', 'end', 'Olga Marked'])
    expect((await at.cli(['support', 'device', lock.deviceId])).code).toBe(1)
  })

  it('a home is handed over, its last owner cannot leave, and an adult can', async () => {
    const code = codeOf(await ok(['homes', 'invite', '--as', 'adult']))
    await bob(['homes', 'join', code])
    expect((await at.cli(['homes', 'leave'])).stderr).toContain('last owner')
    const until = new Date(Date.now() + 86_400_000).toISOString()
    await ok(['homes', 'guest', 'Bob', '--until', until, '--control', 'Front door'])
    expect(await ok(['homes', 'members'])).toContain('Front door (control)')
    await ok(['homes', 'adult', 'Bob'])
    await ok(['homes', 'hand-over', 'Bob', '--stay-owner'])
    expect(await bob(['homes'])).toMatch(/Home\s+owner/)
  })

  it('everything about a person comes as a file that only they can read', async () => {
    const file = join(at.directory, 'export.jsonl')
    expect(await ok(['export', '--out', file])).toMatch(/Wrote \d+ records/)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const records = (await readFile(file, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text))
    expect(records[0]).toMatchObject({ record: 'export' })
    expect(records.at(-1)).toEqual({ record: 'end', records: records.length - 2 })
    expect((await at.cli(['export', '--out', file])).stderr).toContain('there already')
  })

  it('a person erases themselves: what they own with somebody stays, what they own alone ends', async () => {
    await ok(['homes', 'create', '--name', 'Cabin'])
    // With two homes each command has to be told which, also those below "homes support".
    const code = codeOf(await ok(['support', 'request']))
    await ok(['homes', 'support', 'give', code, '--home', 'Home', '--device', 'Front door'])
    await ok(['homes', 'support', 'end', 'Olga Marked', '--home', 'Home'])
    expect((await at.cli(['erase-me'], { input: 'erase me' })).stderr).toContain('own alone')
    expect((await at.cli(['erase-me', '--end-home', 'Cabin'], { input: 'no' })).stderr).toContain(
      'Nothing was erased',
    )
    await ok(['erase-me', '--end-home', 'Cabin'], { input: 'erase me' })
    expect((await at.cli(['homes'])).code).toBe(1)
    expect(await bob(['devices'])).toContain('Front door')
    expect(await bob(['homes', 'log'])).toContain('A member erased their account')
  })
})
