import { join } from 'node:path'
import { Secret, TOTP } from 'otpauth'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CUSTOMER, enrolOperator, signUp } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

const NEXT = 'eleven nanoseconds of wire'

/** One person's password and its second factor, with commands only, from two machines. */
describe('a password and the code beside it, on the command line', { timeout: 120_000 }, () => {
  let at: Installation
  let app: TOTP
  let recoveryCodes: string[]
  const elsewhere = () => ({ HEARTHLOCK_SESSION_DIR: join(at.directory, 'elsewhere') })

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await enrolOperator(at)
    await signUp(at, CUSTOMER)
    await ok(['sign-in', '--email', CUSTOMER.email], { input: CUSTOMER.password })
  }, 90_000)
  afterAll(() => at.dispose())

  async function ok(args: string[], options: Parameters<Installation['cli']>[1] = {}): Promise<string> {
    const result = await at.cli(args, options)
    expect(result, args.join(' ')).toMatchObject({ code: 0 })
    return result.stdout
  }
  async function refused(args: string[], options: Parameters<Installation['cli']>[1] = {}): Promise<string> {
    const result = await at.cli(args, options)
    expect(result, args.join(' ')).toMatchObject({ code: 1 })
    return result.stderr
  }
  const signIn = ['sign-in', '--email', CUSTOMER.email]
  /** Of the step before, this one, or the next: each is good once, and none before the last that was used. */
  let usedAtMs = 0
  const code = (step: number) => app.generate({ timestamp: usedAtMs + step * 30_000 })

  it('another password takes the present one and a good new one, and ends every other session', async () => {
    await ok(signIn, { input: CUSTOMER.password, env: elsewhere() })
    expect(await refused(['password'], { input: `not the present one\n${NEXT}` })).toContain('not right')
    await refused(['password'], { input: `${CUSTOMER.password}\npassword123` })
    expect(await refused(['password'], { input: CUSTOMER.password })).toContain('New password')
    await ok(['whoami'], { env: elsewhere() })
    await ok(['password'], { input: `${CUSTOMER.password}\n${NEXT}` })
    await ok(['whoami'])
    expect(await refused(['whoami'], { env: elsewhere() })).toContain('Sign in first')
    await refused(signIn, { input: CUSTOMER.password, env: elsewhere() })
    await ok(signIn, { input: NEXT, env: elsewhere() })
  })

  it('an authenticator app counts when its first code has come', async () => {
    const printed = await ok(['second-factor', 'add'])
    app = new TOTP({ secret: Secret.fromBase32(/type: (\S+)/.exec(printed)?.[1] ?? '') })
    expect(await ok(['second-factor'])).toContain('needs no code')
    await refused(['second-factor', 'confirm', '000000'])
    usedAtMs = Date.now()
    const confirmed = await ok(['second-factor', 'confirm', code(-1)])
    recoveryCodes = confirmed.split('\n').flatMap((line) => /^ {2}(\S+)$/.exec(line)?.[1] ?? [])
    expect(recoveryCodes).toHaveLength(10)
    expect(await ok(['second-factor'])).toContain('Recovery codes left: 10')
  })

  it('then the password alone signs nobody in, and each code works once', async () => {
    expect(await refused(signIn, { input: NEXT, env: elsewhere() })).toContain('authenticator app')
    await ok(signIn, { input: `${NEXT}\n${code(0)}`, env: elsewhere() })
    await refused(signIn, { input: `${NEXT}\n${code(0)}`, env: elsewhere() })
    const [spare] = recoveryCodes
    await ok(signIn, { input: `${NEXT}\n${spare}`, env: elsewhere() })
    await refused(signIn, { input: `${NEXT}\n${spare}`, env: elsewhere() })
    expect(await ok(['second-factor'])).toContain('Recovery codes left: 9')
  })

  it('it goes with a code only', async () => {
    await refused(['second-factor', 'remove', recoveryCodes[0] ?? ''])
    await ok(['second-factor', 'remove', recoveryCodes[1] ?? ''])
    await ok(signIn, { input: NEXT, env: elsewhere() })
  })
})
