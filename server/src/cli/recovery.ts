import type { Command } from 'commander'
import { type Client, isClientError } from '../client/index.ts'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { askSecret, print } from './terminal.ts'

export function addRecoveryCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const customer = () => context.as('customer')

  program
    .command('recover')
    .description('forgot the password: have a code mailed, then choose another password with it')
    .summary('forgot the password')
    .requiredOption('--email <address>', 'your e-mail address')
    .option('--code <code>', 'the code from the letter; the new password is asked for, or read from a pipe')
    .option('--otp <code>', 'a code of your authenticator app, where the account has one')
    .action(async ({ email, code, otp }: { email: string; code?: string; otp?: string }) => {
      if (code === undefined) {
        await customer().request('POST', '/v1/recovery', { body: { email }, signedIn: false })
        print(terminal, 'If the address has an account, a code is on its way, good for 15 minutes. Then:')
        print(terminal, '  npx hearthlock recover --email <address> --code <code>')
        return
      }
      const newPassword = (await askSecret(terminal, 'New password: ')).reveal()
      const body = { email, code, newPassword, ...(otp === undefined ? {} : { otp }) }
      await customer().request('POST', '/v1/recovery/complete', { body, signedIn: false })
      print(terminal, 'The new password holds. Sign in with: npx hearthlock sign-in --email <address>')
      print(
        terminal,
        'Locks and cameras obey this account again in 24 hours, or when a session from before confirms it.',
      )
    })

  const recovery = program
    .command('recovery')
    .description('judge the last recovery of your account, from a session that is older')
    .summary('say that a recovery was yours, or not')
  recovery
    .command('confirm')
    .description('it was me: locks and cameras obey again')
    .action(async () => {
      await judge(customer(), 'confirm')
      print(terminal, 'Confirmed. Locks and cameras obey this account again.')
    })
  recovery
    .command('deny')
    .description('it was not me: ends all sessions since, and the password from before holds again')
    .option('--otp <code>', 'a code of your authenticator app, where the account has one')
    .action(async ({ otp }: { otp?: string }) => {
      await deny(customer(), otp)
      print(terminal, 'Undone. All sessions since have ended, and the password from before holds again.')
      print(terminal, 'Look at who can read your mail. For another address: npx hearthlock email change')
    })

  /** With a sign-in of a moment ago as it is; else with the password from before. */
  async function deny(client: Client, otp: string | undefined): Promise<void> {
    try {
      await judge(client, 'deny', {})
    } catch (error) {
      if (!isClientError(error, 'fresh_sign_in_needed')) throw error
      print(
        terminal,
        'This needs the password from before the recovery, or a sign-in with your passkey first.',
      )
      const formerPassword = (await askSecret(terminal, 'Password from before: ')).reveal()
      await judge(client, 'deny', { formerPassword, ...(otp === undefined ? {} : { otp }) })
    }
  }

  const email = program.command('email').description('change your address')
  email
    .command('verify <code>')
    .description('confirm your new address with the code that was mailed to it')
    .action(async (code: string) => {
      await customer().request('POST', '/v1/me/email/verify', { body: { code } })
      print(terminal, 'Confirmed. The account has the new address.')
    })
  email
    .command('change <address>')
    .description('have a code mailed to another address, which becomes yours with it')
    .action(async (address: string) => {
      await customer().request('POST', '/v1/me/email', { body: { email: address } })
      print(terminal, 'A code is on its way to the new address. Then: npx hearthlock email verify <code>')
    })
}

/** @throws AppError not_found in words that say what is missing */
async function judge(client: Client, verdict: 'confirm' | 'deny', body?: object): Promise<void> {
  try {
    await client.request('POST', `/v1/me/recovery/${verdict}`, { body })
  } catch (cause) {
    if (!isClientError(cause, 'not_found')) throw cause
    const message = 'There is no recovery that this session can judge: it must be older than the recovery.'
    throw new AppError('not_found', { message, cause })
  }
}
