import type { Command } from 'commander'
import type { Client, PasskeyLink } from '../client/index.ts'
import { AppError, Secret } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { print, type Terminal, table } from './terminal.ts'

interface PasskeyShape {
  passkeyId: string
  name: string
  synced: boolean
  addedAt: string
  usedAt?: string
}

interface Whose {
  operator?: true
}

const OPERATOR = ['--operator', "the operator's account"] as const

/** The passkeys of the account that is signed in. */
export function addPasskeyCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const as = ({ operator }: Whose) => context.as(operator ? 'operator' : 'customer')

  const passkeys = program
    .command('passkeys')
    .description('list your passkeys; "passkeys add", "rename" and "remove" change them')
    .summary('list, add, rename, remove passkeys')
    .option(...OPERATOR)
  passkeys.action(async (whose: Whose) => await list(terminal, as(whose)))
  passkeys
    .command('list')
    .description('list your passkeys')
    .option(...OPERATOR)
    .action(async (_own: Whose, { optsWithGlobals }: Command) => await list(terminal, as(optsWithGlobals())))
  passkeys
    .command('add')
    .description('get a link by which a browser adds a passkey')
    .option(...OPERATOR)
    .action(async (_own: Whose, command: Command) => {
      const { url } = await as(command.optsWithGlobals()).request<{ url: string }>('POST', '/v1/me/passkeys')
      printLink(terminal, { url: new Secret(url) })
    })
  passkeys
    .command('rename <passkey> <name>')
    .description('give a passkey another name')
    .option(...OPERATOR)
    .action(async (wanted: string, name: string, _own: Whose, command: Command) => {
      const client = as(command.optsWithGlobals())
      const { passkeyId } = await find(client, wanted)
      await client.request('PATCH', `/v1/me/passkeys/${passkeyId}`, { body: { name } })
      print(terminal, 'Renamed.')
    })
  passkeys
    .command('remove <passkey>')
    .description('remove a passkey; the last way into the account stays')
    .option(...OPERATOR)
    .action(async (wanted: string, _own: Whose, command: Command) => {
      const client = as(command.optsWithGlobals())
      const { passkeyId } = await find(client, wanted)
      await client.request('DELETE', `/v1/me/passkeys/${passkeyId}`)
      print(
        terminal,
        'Removed. It signs nobody in any more; sessions that it began go on until they are ended.',
      )
    })
}

export function printLink(terminal: Terminal, { url }: PasskeyLink): void {
  print(
    terminal,
    'Make the passkey in a browser, within ten minutes. The link works once; keep it to yourself:',
  )
  print(terminal, `  ${url.reveal()}`)
}

async function passkeysOf(client: Client): Promise<PasskeyShape[]> {
  return (await client.request<{ passkeys: PasskeyShape[] }>('GET', '/v1/me/passkeys')).passkeys
}

/** By name, id, or the beginning of an id. */
async function find(client: Client, wanted: string): Promise<PasskeyShape> {
  const all = await passkeysOf(client)
  const named = all.filter(({ name, passkeyId }) => name === wanted || passkeyId === wanted)
  const fits =
    named.length > 0 ? named : all.filter((p) => wanted.length >= 4 && p.passkeyId.startsWith(wanted))
  const [only, second] = fits
  if (only && !second) return only
  throw new AppError('invalid_request', {
    message: `${second ? 'Several passkeys fit' : 'There is no such passkey'}. List them with: npx hearthlock passkeys`,
  })
}

async function list(terminal: Terminal, client: Client): Promise<void> {
  const day = (at: string | undefined) => at?.slice(0, 10) ?? 'never'
  table(terminal, {
    header: ['NAME', 'ADDED', 'LAST USED', 'KEPT', 'ID'],
    rows: (await passkeysOf(client)).map(({ name, addedAt, usedAt, synced, passkeyId }) => [
      name,
      day(addedAt),
      day(usedAt),
      synced ? 'may be copied between devices' : 'in one device',
      passkeyId,
    ]),
    none: 'No passkeys yet. Add one with: npx hearthlock passkeys add',
  })
}
