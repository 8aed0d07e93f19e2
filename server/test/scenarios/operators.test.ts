import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { enrolOperator, OPERATOR } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

const JOAN = { email: 'joan@maker.example', passphrase: 'another long passphrase' }

/** A security officer and somebody whom she invites, each on a machine of their own, with commands only. */
describe('the maker’s operators, on the command line', { timeout: 120_000 }, () => {
  let at: Installation
  const joans = () => ({ HEARTHLOCK_SESSION_DIR: join(at.directory, 'joan') })

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await enrolOperator(at)
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
  const enrol = (code: string, email: string) => [
    ...['enrol', '--code', code, '--email', email],
    ...['--name', 'Joan', '--software-passkey'],
  ]

  it('somebody comes in with an invitation, which works once, and has its roles alone', async () => {
    const printed = await ok(['operators', 'invite', '--roles', 'engineer'])
    const code = /--code (\S+)/.exec(printed)?.[1] ?? ''
    const asJoan = { env: joans(), input: JOAN.passphrase }
    await refused(enrol(`${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`, JOAN.email), asJoan)
    await ok(enrol(code, JOAN.email), asJoan)
    const eves = { HEARTHLOCK_SESSION_DIR: join(at.directory, 'eve') }
    await refused(enrol(code, 'eve@maker.example'), { env: eves, input: JOAN.passphrase })
    await refused(['sign-in', '--operator'], { env: joans(), input: OPERATOR.passphrase })
    await ok(['sign-in', '--operator'], asJoan)
    expect(await ok(['whoami', '--operator'], { env: joans() })).toContain('(engineer)')
    await ok(['models'], { env: joans() })
    for (const args of [['operators'], ['operators', 'invite', '--roles', 'security'], ['outbox']])
      await refused(args, { env: joans() })
    const listed = await ok(['operators'])
    expect(listed).toMatch(/olga@maker\.example.*security/)
    expect(listed).toMatch(/joan@maker\.example\s+Joan\s+engineer/)
    expect(listed).not.toContain('eve@')
  })

  it('other roles count from the next request on', async () => {
    await ok(['operators', 'roles', JOAN.email, 'support'])
    await refused(['models'], { env: joans() })
    await ok(['outbox'], { env: joans() })
  })

  it('the last security officer can neither go nor give up the role', async () => {
    expect(await refused(['operators', 'remove', OPERATOR.email])).toContain('last security officer')
    expect(await refused(['operators', 'roles', OPERATOR.email, 'support'])).toContain(
      'last security officer',
    )
    expect(await ok(['whoami', '--operator'])).toContain('security')
  })

  it('whoever was removed is out at once, with session and passkey', async () => {
    expect(await refused(['operators', 'remove', 'nobody@maker.example'])).toContain('no such operator')
    await ok(['operators', 'remove', JOAN.email])
    expect(await refused(['outbox'], { env: joans() })).toContain('Sign in first')
    await refused(['sign-in', '--operator'], { env: joans(), input: JOAN.passphrase })
    expect(await ok(['operators'])).not.toContain(JOAN.email)
  })
})
