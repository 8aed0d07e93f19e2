import type { Command } from 'commander'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { localSecond } from './local-time.ts'
import { print, type Terminal, table } from './terminal.ts'

interface StoreShape {
  key: string
  storeId?: string
  name: string
  address: string
  fed: boolean
  verdict: string
  evidence?: string
  lookedAt?: string
}

/** What is watched as a stranger would look at it. */
export function addStoreCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')
  const all = async () => (await operator().request<{ stores: StoreShape[] }>('GET', '/v1/stores')).stores

  const list = async () => show(terminal, await all())

  const stores = program
    .command('stores')
    .description(
      'list what is watched, and how it last answered a stranger (security officers and engineers)',
    )
    .summary('what is watched as a stranger would look at it')
    .action(list)
  stores.command('list').description('list what is watched').action(list)
  stores
    .command('add <address>')
    .description('watch one more address of yours: host, host:port or protocol://host:port')
    .requiredOption('--name <name>', 'what it is called when people are paged at night')
    .option('--note <text>', 'what it is for, whom to ask')
    .action(async (address: string, { name, note }: { name: string; note?: string }) => {
      await operator().request('POST', '/v1/stores', {
        body: { address, name, ...(note !== undefined && { note }) },
      })
      print(terminal, 'Watched from now on. Add only what is yours: it is asked for data every few minutes.')
    })
  stores
    .command('remove <name or address>')
    .description('watch an address that was added no more')
    .action(async (wanted: string) => {
      const added = (await all()).filter(({ storeId }) => storeId !== undefined)
      const found = added.filter((store) => [store.name, store.address, store.storeId].includes(wanted))
      if (found.length !== 1) {
        const message =
          found.length > 1
            ? 'Several have that name: give the address.'
            : 'No such address was added. List them with: npx hearthlock stores'
        throw new AppError('invalid_request', { message })
      }
      await operator().request('DELETE', `/v1/stores/${found[0]?.storeId}`)
      print(terminal, 'Not watched any more.')
    })
  stores
    .command('probe')
    .description('look at all of them now; the exit code is 1 when one is open')
    .action(async () => await probeStores(context))
}

/** Has everything that is watched looked at now, by the server. */
export async function probeStores(context: CliContext): Promise<void> {
  const path = '/v1/stores/probe'
  const { stores } = await context.as('operator').request<{ stores: StoreShape[] }>('POST', path)
  show(context.terminal, stores)
  if (stores.some(isHarmful)) process.exitCode = 1
}

function show(terminal: Terminal, stores: StoreShape[]): void {
  table(terminal, {
    header: ['VERDICT', 'NAME', 'ADDRESS', 'LOOKED AT', 'EVIDENCE'],
    rows: stores.map(({ verdict, name, address, fed, lookedAt, evidence }) => [
      verdict,
      fed ? `${name} (fed)` : name,
      address,
      lookedAt ? localSecond(lookedAt) : '',
      evidence ?? '',
    ]),
    none: 'Nothing is watched.',
  })
}

/** Metrics on a loopback address answer anybody on the machine by design. */
function isHarmful({ verdict, key }: StoreShape): boolean {
  return verdict === 'open' && !key.startsWith('own:metrics')
}
