import type { Command } from 'commander'
import type { PasskeyLink } from '../client/index.ts'
import { AppError, Personal, Secret } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { printLink } from './passkeys.ts'
import { ask, askSecret, print } from './terminal.ts'

interface NewCustomer {
  email: string
  name: string
  passkey?: true
}

/** A customer account: asked for, and made when the code of the letter has come back. */
export function addSignUpCommands(program: Command, context: CliContext): void {
  const { terminal } = context

  program
    .command('sign-up')
    .description('make a customer account; the password and the mailed code are asked for')
    .summary('make a customer account')
    .requiredOption('--email <address>', 'your e-mail address')
    .requiredOption('--name <name>', 'your name')
    .option('--passkey', 'with a passkey and no password')
    .action(async ({ email, name, passkey }: NewCustomer) => {
      const password = passkey ? undefined : await askSecret(terminal, 'Password: ')
      const person = { email: new Personal(email), name: new Personal(name), password }
      const { signUpId } = await context.as('customer').signUp(person)
      print(terminal, 'A letter is on its way: with a code, or that the address has an account already.')
      print(terminal, 'Without a mail server an operator reads it: npx hearthlock outbox show')
      print(terminal, `Within a day: npx hearthlock confirm-sign-up ${signUpId} <code>`)
      if (!terminal.stdin.isTTY) return
      const code = await ask(terminal, 'Or enter the code here: ')
      if (code === '') throw new AppError('invalid_request', { message: 'No code was given.' })
      await confirm(signUpId, code)
    })

  program
    .command('confirm-sign-up <sign-up> <code>')
    .description('make the account of a sign-up, with the code that was mailed to its address')
    .summary('finish a sign-up with its code')
    .action(confirm)

  async function confirm(signUpId: string, code: string): Promise<void> {
    const link = await context.as('customer').confirmSignUp({ signUpId, code: new Secret(code) })
    if (link) return toPasskey(link)
    print(terminal, 'The account is there. Sign in with: npx hearthlock sign-in --email <address>')
  }

  function toPasskey(link: PasskeyLink): void {
    print(terminal, 'The address is confirmed. The account is there as soon as the passkey is made:')
    printLink(terminal, link)
  }
}
