import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import { type Client, isClientError } from '../client/index.ts'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { localSecond } from './local-time.ts'
import { ask, print, type Terminal, table } from './terminal.ts'

const SCOPES = ['all', 'customers', 'devices', 'integrations', 'household']
const LOOK_MS = 500
const BAR = 30

interface Wanted {
  scope: string
  household?: string
  store?: string
  quietly?: true
  signOut?: true
  dryRun?: true
  yes?: true
  json?: true
}

type Counts = Record<keyof typeof countTexts, number>

interface ResetShape {
  resetId: string
  scope: string
  quietly: boolean
  state: string
  begunAt: string
  voidAt?: string
  doneAt?: string
  removedSignIns: number
  closedConnections: number
  waitingConnections: number
}

const countTexts = {
  accounts: 'accounts',
  signIns: 'sign-ins',
  mailedCodes: 'codes in letters',
  invitations: 'open invitations',
  transfers: 'offered devices',
  devices: 'devices that prove their key anew',
  replacingKeys: 'of them replace it',
  keepingPasswords: 'of them keep a password that nothing can replace',
  deviceConnections: 'devices connected now',
  liveStreams: 'live streams open now',
}

/** Everything re-keyed at once. */
export function addResetCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')

  const reset = program
    .command('reset')
    .description(
      'make every token, sign-in, code and device session void that was given before (security officers)',
    )
    .summary('re-key everything at once')
    .addOption(new Option('--scope <what>', 'what is re-keyed').choices(SCOPES))
    .option('--household <id>', 'with the scope household: which one')
    .option('--store <name>', 'only homes whose data went into this store')
    .addOption(
      new Option('--quietly', 'apps go on by proving their keys, and nobody notices').conflicts('signOut'),
    )
    .option('--sign-out', 'people sign in anew')
    .option('--dry-run', 'count what it would make void, and change nothing')
    .option('--yes', 'do not ask')
    .option('--json', 'as JSON')
    .action(async (wanted: Wanted) => {
      const client = operator()
      const body = requestOf(wanted)
      if (wanted.dryRun || !wanted.yes) {
        const counts = await client.request<Counts>('POST', '/v1/resets/plan', {
          body,
          withoutTimeout: true,
        })
        if (wanted.json && wanted.dryRun) print(terminal, JSON.stringify(counts, undefined, 2))
        else printCounts(terminal, counts)
        if (wanted.dryRun) return
        await confirm(terminal, body.quietly)
      }
      const begun = await client.request<ResetShape>('POST', '/v1/resets', { body })
      const last = await follow(context, client, begun)
      if (wanted.json) print(terminal, JSON.stringify(last, undefined, 2))
      else printOutcome(terminal, last)
    })

  reset
    .command('list')
    .description('list the latest resets, newest first')
    .action(async () => {
      const { resets } = await operator().request<{ resets: ResetShape[] }>('GET', '/v1/resets')
      table(terminal, {
        header: ['RESET', 'SCOPE', 'HOW', 'STATE', 'BEGUN', 'VOID SINCE', 'CLOSED'],
        rows: resets.map((each) => [
          each.resetId,
          each.scope,
          each.quietly ? 'quietly' : 'sign-out',
          each.state,
          localSecond(each.begunAt),
          each.voidAt ? localSecond(each.voidAt) : '',
          String(each.closedConnections),
        ]),
        none: 'Nothing has been reset yet.',
      })
    })

  reset
    .command('watch <reset>')
    .description('follow a reset until it is done')
    .action(async (resetId: string) => {
      const client = operator()
      const path = `/v1/resets/${encodeURIComponent(resetId)}`
      printOutcome(terminal, await follow(context, client, await client.request<ResetShape>('GET', path)))
    })

  reset
    .command('passwords')
    .description('list devices whose password no reset replaces, by their ids')
    .action(async () => {
      let after: string | undefined
      do {
        const path: string = `/v1/devices/keeping-passwords${after === undefined ? '' : `?after=${after}`}`
        const page = await operator().request<{ deviceIds: string[]; next?: string }>('GET', path)
        for (const deviceId of page.deviceIds) print(terminal, deviceId)
        after = page.next
      } while (after !== undefined)
    })
}

/** @throws AppError invalid_request unless it says what is re-keyed, and how */
function requestOf({ scope, household, store, quietly, signOut }: Wanted) {
  if (scope === undefined) throw wrong('Say what is re-keyed, with --scope.')
  // Devices and integrations have nobody who could sign in.
  if (!quietly && !signOut && scope !== 'devices' && scope !== 'integrations') {
    throw wrong('Say --quietly (apps go on by proving their keys) or --sign-out (people sign in anew).')
  }
  return {
    scope,
    quietly: signOut !== true,
    ...(household === undefined ? {} : { householdId: household }),
    ...(store === undefined ? {} : { store }),
  }
}

function wrong(message: string): AppError {
  return new AppError('invalid_request', { message })
}

function printCounts(terminal: Terminal, counts: Counts): void {
  const width = Math.max(...Object.values(counts).map((count) => count.toLocaleString('en').length))
  for (const [name, text] of Object.entries(countTexts)) {
    print(terminal, `${counts[name as keyof Counts].toLocaleString('en').padStart(width)}  ${text}`)
  }
}

const WORD = 'reset'

async function confirm(terminal: Terminal, quietly: boolean): Promise<void> {
  const what = quietly
    ? 'All of it becomes void now.'
    : 'All of it becomes void now, and people sign in anew.'
  if ((await ask(terminal, `${what} Type "${WORD}" to go on: `)) === WORD) return
  throw wrong('Nothing was reset.')
}

/** Until it is done; gives up following, not the reset, when the operator's own sign-in has ended by it. */
async function follow(
  { terminal, signal }: CliContext,
  client: Client,
  begun: ResetShape,
): Promise<ResetShape> {
  let latest = begun
  try {
    while (latest.state !== 'done' && !signal.aborted) {
      showProgress(terminal, latest)
      await sleep(LOOK_MS, undefined, { signal }).catch(() => {})
      latest = await client.request<ResetShape>('GET', `/v1/resets/${latest.resetId}`)
    }
  } catch (error) {
    if (!isClientError(error, 'unauthenticated')) throw error
    endProgress(terminal)
    print(terminal, 'It reaches your own sign-in as well, and goes on without you. To follow it:')
    print(terminal, '  npx hearthlock sign-in --operator')
    print(terminal, `  npx hearthlock reset watch ${latest.resetId}`)
    return latest
  }
  showProgress(terminal, latest)
  endProgress(terminal)
  return latest
}

/** On a terminal only: a log has no use for a bar. */
function showProgress({ stderr }: Terminal, { state, ...each }: ResetShape): void {
  if (!stderr.isTTY) return
  const { closedConnections: closed, waitingConnections: waiting, removedSignIns } = each
  const share = closed + waiting === 0 ? Number(state === 'done') : closed / (closed + waiting)
  const bar = '#'.repeat(Math.round(share * BAR)).padEnd(BAR, '-')
  const removed = removedSignIns > 0 ? `, ${removedSignIns.toLocaleString('en')} sign-ins cleared away` : ''
  const what = state === 'preparing' ? 'listing whom it reaches' : 'void; connections closed'
  const counted = state === 'preparing' ? '' : `: ${closed} of ${closed + waiting}${removed}`
  stderr.write(`\r[${bar}] ${what}${counted}\u001b[K`)
}

function endProgress({ stderr }: Terminal): void {
  if (stderr.isTTY) stderr.write('\n')
}

function printOutcome(terminal: Terminal, { resetId, voidAt, state, closedConnections }: ResetShape): void {
  print(terminal, `Reset ${resetId}`)
  if (voidAt) print(terminal, `Everything of before is void since ${localSecond(voidAt)}.`)
  if (state === 'done') print(terminal, `${closedConnections} connections were closed.`)
  else print(terminal, `It goes on: npx hearthlock reset watch ${resetId}`)
}
