import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Postbox, startPostbox } from '../mail/support.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

const EMAIL = 'ada@example.org'
const PASSWORD = 'correct horse battery'
const NEW_PASSWORD = 'brand new horse battery'

/** Forgetting a password, with commands and a real mail server, from two machines. */
describe('forgot the password', () => {
  let at: Installation
  let postbox: Postbox
  let elsewhere: NodeJS.ProcessEnv

  beforeAll(async () => {
    postbox = await startPostbox()
    at = await createInstallation({
      HEARTHLOCK_SMTP_URL: postbox.url().reveal(),
      HEARTHLOCK_MAIL_FROM: 'Hearthlock <hearthlock@maker.example>',
    })
    elsewhere = { HEARTHLOCK_SESSION_DIR: `${at.directory}/elsewhere` }
    await at.start()
  }, 90_000)
  afterAll(async () => {
    await at.dispose()
    await postbox.close()
  })

  const third = () => ({ HEARTHLOCK_SESSION_DIR: `${at.directory}/third` })

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

  /** The code of the next letter to this address with this subject. */
  async function code(subject: string, to = EMAIL): Promise<string> {
    const found = () =>
      postbox.letters.findIndex((each) => each.to[0] === to && each.source.includes(`Subject: ${subject}`))
    await vi.waitFor(() => expect(found()).toBeGreaterThanOrEqual(0), { timeout: 15_000 })
    const [letter] = postbox.letters.splice(found(), 1)
    return /[0-9A-Z]{5}-[0-9A-Z]{5}/.exec(letter?.source ?? '')?.[0] ?? ''
  }

  it('the start says that letters are sent, and by whom', () => {
    expect(at.output()).toContain('sent as Hearthlock <hearthlock@maker.example>')
  })

  it('an account comes of the code in the letter', async () => {
    const asked = await ok(['sign-up', '--email', EMAIL, '--name', 'Ada'], { input: PASSWORD })
    const signUpId = /confirm-sign-up (\S+)/.exec(asked)?.[1] ?? ''
    await refused(['sign-in', '--email', EMAIL], { input: PASSWORD })
    const mailed = await code('Your Hearthlock code')
    await ok(['confirm-sign-up', signUpId, mailed])
    expect(await refused(['confirm-sign-up', signUpId, mailed])).toContain('cannot be used')
    await ok(['sign-in', '--email', EMAIL], { input: PASSWORD })
  })

  it('somebody recovers the account elsewhere: they get in, and no further', async () => {
    await ok(['recover', '--email', EMAIL], { env: elsewhere })
    const mailed = await code('Your Hearthlock recovery code')
    const recover = ['recover', '--email', EMAIL, '--code', mailed]
    await ok(recover, { env: elsewhere, input: NEW_PASSWORD })
    expect(await refused(recover, { env: elsewhere, input: NEW_PASSWORD })).toContain('cannot be used')
    await ok(['sign-in', '--email', EMAIL], { env: elsewhere, input: NEW_PASSWORD })
    for (const args of [
      ['sessions', 'end', '--others'],
      ['sessions', 'end', '--all'],
      ['email', 'change', 'x@example.org'],
    ])
      expect(await refused(args, { env: elsewhere })).toContain('recovered a short while ago')
    await refused(['recovery', 'confirm'], { env: elsewhere })
  })

  it('the owner sees it, undoes it, and the other session is gone with its password', async () => {
    expect(await ok(['whoami'])).toContain('Was it you?')
    expect((await ok(['sessions'])).match(/the hearthlock command/g)).toHaveLength(2)
    expect(await ok(['recovery', 'deny'])).toContain('holds again')
    expect(await refused(['whoami'], { env: elsewhere })).toContain('Sign in first')
    await refused(['sign-in', '--email', EMAIL], { env: elsewhere, input: NEW_PASSWORD })
    expect((await ok(['sessions'])).match(/the hearthlock command/g)).toHaveLength(1)
  })

  it('the owner recovers it, and confirms from the session that is there', async () => {
    await ok(['sign-in', '--email', EMAIL], { env: third(), input: PASSWORD })
    await ok(['sign-out'], { env: third() })
    await ok(['recover', '--email', EMAIL])
    const mailed = await code('Your Hearthlock recovery code')
    await ok(['recover', '--email', EMAIL, '--code', mailed], { input: NEW_PASSWORD })
    await ok(['recovery', 'confirm'])
    await ok(['sign-in', '--email', EMAIL], { env: elsewhere, input: NEW_PASSWORD })
    const listed = await ok(['sessions'], { env: elsewhere })
    const other = listed.split('\n').find((line) => /^\S{24} /.test(line) && !line.includes('this one'))
    await ok(['sessions', 'end', other?.split(' ')[0] ?? ''], { env: elsewhere })
    expect(await refused(['whoami'])).toContain('Sign in first')
  })

  it('the address changes when its code comes back, and all sessions end by one command', async () => {
    await ok(['email', 'change', 'new@example.org'], { env: elsewhere })
    await ok(['email', 'verify', await code('Your Hearthlock code', 'new@example.org')], { env: elsewhere })
    expect(await ok(['whoami'], { env: elsewhere })).toContain('<new@example.org>')
    await code('The address of your Hearthlock account was changed')
    await ok(['sessions', 'end', '--others'], { env: elsewhere })
    await ok(['sessions', 'end', '--all'], { env: elsewhere })
    expect(await refused(['whoami'], { env: elsewhere })).toContain('Sign in first')
  })
})
