import { Argument, type Command, Option } from 'commander'
import { type Client, passkeyFile } from '../client/index.ts'
import { AppError, Personal, Secret } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { printLink } from './passkeys.ts'
import { askSecret, print, table } from './terminal.ts'

const ROLES = ['engineer', 'analyst', 'support', 'security']

interface OperatorShape {
  accountId: string
  email: string
  name: string
  roles: string[]
}

interface Enrolling {
  code: string
  email: string
  name: string
  softwarePasskey?: true
}

/** The maker's staff: how they come in, who they are, what each may do. */
export function addOperatorCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const client = () => context.as('operator')

  program
    .command('enrol')
    .description(
      'become an operator, with the code that the first start printed or a security officer gave you',
    )
    .summary('become an operator, with a code')
    .requiredOption('--code <code>', 'the one-use code')
    .requiredOption('--email <address>', 'your e-mail address')
    .requiredOption('--name <name>', 'your name')
    .option('--software-passkey', 'keep the passkey in a file of this machine, behind a passphrase')
    .action(async ({ code, email, name, softwarePasskey }: Enrolling) => {
      const passphrase = softwarePasskey && (await askSecret(terminal, 'Passphrase for the passkey: '))
      const link = await client().enrolOperator({
        code: new Secret(code),
        email: new Personal(email),
        name: new Personal(name),
      })
      if (passphrase) {
        const file = passkeyFile(context.config.passkeyFile.operator)
        await client().makePasskey(link, {
          name: new Personal('File of the hearthlock command'),
          keep: (passkey) => file.save(passkey, passphrase),
        })
        print(terminal, 'Enrolled. Sign in with: npx hearthlock sign-in --operator')
        return
      }
      printLink(terminal, link)
      print(terminal, 'Then sign in with: npx hearthlock sign-in --operator')
    })

  const operators = program
    .command('operators')
    .description('list the operators; "operators invite", "roles" and "remove" change them (role security)')
    .summary('list, invite, change, remove operators')
  operators.action(async () => await list(context))
  operators
    .command('list')
    .description('list the operators and their roles')
    .action(async () => await list(context))
  operators
    .command('invite')
    .description('get a code with which somebody becomes an operator')
    .addOption(new Option('--roles <roles...>', 'what they may do').choices(ROLES).makeOptionMandatory())
    .action(async ({ roles }: { roles: string[] }) => {
      const { code } = await client().request<{ code: string }>('POST', '/v1/operators/invitations', {
        body: { roles },
      })
      print(terminal, 'Within a day, and once, whoever has this code becomes an operator:')
      print(terminal, `  npx hearthlock enrol --code ${code} --email you@maker.example --name You`)
    })
  operators
    .command('roles <operator>')
    .description('give an operator these roles, and no other')
    .addArgument(new Argument('<roles...>', 'what they may do').choices(ROLES))
    .action(async (wanted: string, roles: string[]) => {
      const { accountId } = await find(client(), wanted)
      await client().request('PUT', `/v1/operators/${accountId}/roles`, { body: { roles } })
      print(terminal, 'Changed; it counts from now on.')
    })
  operators
    .command('remove <operator>')
    .description('remove an operator, with all passkeys and sign-ins')
    .action(async (wanted: string) => {
      const { accountId } = await find(client(), wanted)
      await client().request('DELETE', `/v1/operators/${accountId}`)
      print(terminal, 'Removed.')
    })
}

async function operatorsOf(client: Client): Promise<OperatorShape[]> {
  return (await client.request<{ operators: OperatorShape[] }>('GET', '/v1/operators')).operators
}

/** By e-mail address or account id. */
async function find(client: Client, wanted: string): Promise<OperatorShape> {
  const all = await operatorsOf(client)
  const found = all.find(({ accountId, email }) => accountId === wanted || email === wanted)
  if (found) return found
  throw new AppError('invalid_request', {
    message: 'There is no such operator. List them with: npx hearthlock operators',
  })
}

async function list(context: CliContext): Promise<void> {
  table(context.terminal, {
    header: ['E-MAIL', 'NAME', 'ROLES', 'ID'],
    rows: (await operatorsOf(context.as('operator'))).map(({ email, name, roles, accountId }) => [
      email,
      name,
      roles.join(', '),
      accountId,
    ]),
    none: 'No operators.',
  })
}
