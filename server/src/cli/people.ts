import type { Command } from 'commander'
import { Personal } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { printLink } from './passkeys.ts'
import { askSecret, print } from './terminal.ts'

const clients = { customer: 'hearthlock-cli', operator: 'hearthlock-operator-cli' } as const

export function addPeopleCommands(program: Command, context: CliContext): void {
  const { terminal } = context

  program
    .command('sign-up')
    .description('make a customer account; the password is asked for, or read from a pipe')
    .requiredOption('--email <address>', 'your e-mail address')
    .requiredOption('--name <name>', 'your name')
    .option('--passkey', 'with a passkey and no password')
    .action(async ({ email, name, passkey }: { email: string; name: string; passkey?: true }) => {
      if (passkey) {
        const person = { email: new Personal(email), name: new Personal(name) }
        printLink(terminal, await context.as('customer').signUpWithPasskey(person))
        print(terminal, 'If the address was not in use, the account is there as soon as the passkey is made.')
        return
      }
      const password = await askSecret(terminal, 'Password: ')
      await context.as('customer').signUp({ email: new Personal(email), name: new Personal(name), password })
      print(
        terminal,
        'If the address was not in use, the account is there now. Sign in with: npx hearthlock sign-in --email <address>',
      )
    })

  program
    .command('sign-in')
    .description('sign in; the password is asked for, or read from a pipe')
    .requiredOption('--email <address>', 'your e-mail address')
    .option('--operator', "sign in as one of the maker's operators")
    .action(async ({ email, operator }: { email: string; operator?: true }) => {
      const kind = operator ? 'operator' : 'customer'
      const password = await askSecret(terminal, 'Password: ')
      await context.as(kind).signIn({ clientId: clients[kind], email: new Personal(email), password })
      print(terminal, 'Signed in. The session is bound to a key that stays in your session file.')
    })

  program
    .command('sign-out')
    .description('end the session, here and on the server')
    .option('--operator', "the operator's session")
    .action(async ({ operator }: { operator?: true }) => {
      await context.as(operator ? 'operator' : 'customer').signOut()
      print(terminal, 'Signed out.')
    })

  program
    .command('whoami')
    .description('show who is signed in')
    .option('--operator', "the operator's session")
    .action(async ({ operator }: { operator?: true }) => {
      const me = await context.as(operator ? 'operator' : 'customer').request<Me>('GET', '/v1/me')
      print(
        terminal,
        `${me.name} <${me.email}>, ${me.kind}${me.roles?.length ? ` (${me.roles.join(', ')})` : ''}`,
      )
    })
}

interface Me {
  name: string
  email: string
  kind: string
  roles?: string[]
}
