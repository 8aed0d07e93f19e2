import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findIn, readAllBytes } from '../support/hollow.ts'
import { CUSTOMER, claim, connect, provision, settle, signUp } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

const GUEST = { email: 'marked-guest@example.org', name: 'Marked Guest', password: 'a third correct horse' }
const CODE = /[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}/
const MAILED_CODE = /[0-9A-Z]{5}-[0-9A-Z]{5}/

/** What people do with each other leaves as little behind as what devices say. Each process of a command takes a second. */
describe('a stolen copy names nobody who lives with whom', { timeout: 240_000 }, () => {
  let at: Installation
  const known: Record<string, string> = { guestEmail: GUEST.email, guestName: GUEST.name }
  const guestEnv = () => ({ HEARTHLOCK_SESSION_DIR: `${at.directory}/guest` })

  async function ok(args: string[], options: Parameters<Installation['cli']>[1] = {}): Promise<string> {
    const result = await at.cli(args, options)
    expect(result, args.join(' ')).toMatchObject({ code: 0 })
    return result.stdout
  }
  /** With and without its dashes, for a digest may have been made of either. */
  function remember(name: string, code: string | undefined): string {
    expect(code, name).toBeTruthy()
    known[name] = code as string
    known[`${name}, bare`] = (code as string).replaceAll('-', '')
    return code as string
  }
  async function letterCode(subject: string): Promise<string | undefined> {
    for (const line of (await ok(['outbox'])).split('\n')) {
      const id = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(line)?.[0]
      const shown = id ? await ok(['outbox', 'show', id]) : ''
      if (shown.includes(subject)) return MAILED_CODE.exec(shown.split('\n').slice(3).join('\n'))?.[0]
    }
    return undefined
  }

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await settle(at, 'Marked household')
    const [lock] = await provision(at, 'hearth-lock', 1)
    if (!lock) throw new Error('no lock')
    const socket = await connect(at, lock)
    await claim(at, lock, 'Marked door')

    await signUp(at, GUEST)
    await ok(['sign-in', '--email', GUEST.email], { input: GUEST.password, env: guestEnv() })
    remember('a code that was used', await letterCode('Your Hearthlock code'))
    known.pendingEmail = 'marked-pending@example.org'
    known.pendingName = 'Marked Pending'
    await ok(['sign-up', '--email', known.pendingEmail, '--name', known.pendingName, '--passkey'])
    remember('the code of a pending sign-up', await letterCode('Your Hearthlock code'))

    const invited = await ok([
      'homes',
      'invite',
      '--until',
      new Date(Date.now() + 86_400_000).toISOString(),
      '--hours',
      'mon-sun 00:00-00:00',
      '--time-zone',
      'Antarctica/Troll',
      '--control',
      'Marked door',
    ])
    known.timeZone = 'Antarctica/Troll'
    const invitation = remember('an invitation that was used', CODE.exec(invited)?.[0])
    await ok(['homes', 'join', invitation], { env: guestEnv() })
    remember('an open invitation', CODE.exec(await ok(['homes', 'invite', '--as', 'adult']))?.[0])
    remember('an open offer', CODE.exec(await ok(['transfer', 'offer', 'Marked door']))?.[0])
    const support = remember('a support code', CODE.exec(await ok(['support', 'request']))?.[0])
    await ok(['homes', 'support', 'give', support, '--device', 'Marked door'])
    await ok(['homes', 'log'])

    known.reason = 'Marked reason of a dispute'
    known.evidence = 'Marked evidence, case 4711'
    await ok(['disputes', 'open', lock.deviceId, '--reason', known.reason, '--evidence', known.evidence])

    const factor = await ok(['second-factor', 'add'], { env: guestEnv() })
    remember(
      'a second factor',
      /\b[A-Z2-7]{32,}\b/.exec(factor.replaceAll(/(?<=[A-Z2-7]{4}) (?=[A-Z2-7]{4})/g, ''))?.[0],
    )
    await ok(['recover', '--email', CUSTOMER.email])
    remember('a recovery code', await letterCode('Your Hearthlock recovery code'))
    socket.end(true)
  }, 240_000)

  afterAll(() => at.dispose())

  it('neither while it runs, nor after its stop', async () => {
    expect(findIn(await readAllBytes(at.dataDir), known)).toEqual([])
    expect(findIn(new Map([['output', Buffer.from(at.output())]]), known)).toEqual([])
    await at.stop()
    expect(findIn(await readAllBytes(at.dataDir), known)).toEqual([])
    await at.start()
  })

  it('no address from which somebody came stands in it', async () => {
    const tables = await readAllBytes(at.dataDir)
    // PostgreSQL's own settings name loopback; its tables and its log of changes do not.
    for (const [path, bytes] of tables) {
      if (/\/(base|pg_wal)\//.test(path)) expect(bytes.includes('127.0.0.0/24'), path).toBe(false)
    }
  })
})
