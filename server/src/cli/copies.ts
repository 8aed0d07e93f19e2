import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CliContext } from './context.ts'
import { localTime } from './local-time.ts'
import { askSecret, print, table } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface CopyShape {
  copyId: string
  name: string
  owner: string
  purpose: string
  fields: string[]
  grain: string
  minGroup: number
  state: string
  reason?: string
  problem?: string
  destination: string
  createdAt: string
  expiresAt: string
  filled: number
  head: number
}

interface Wish {
  purpose: string
  fields: string[]
  grain: string
  expires: number
  to: string
  ca?: string
  minGroup?: number
  from: string
  wait: boolean
}

const UNITS: Record<string, number> = { h: 3_600, d: 86_400 }

/** `14d`, `36h`. */
function duration(text: string): number {
  const [, number, unit = ''] = /^(\d{1,4})([hd])$/.exec(text) ?? []
  const seconds = Number(number) * (UNITS[unit] ?? Number.NaN)
  if (!(seconds > 0)) throw new InvalidArgumentError('Write hours or days: 36h, 14d.')
  return seconds
}

/** Copies for analysts (engineers and security officers make and end them). */
export function addCopyCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')
  const get = (name: string) => operator().request<CopyShape>('GET', `/v1/copies/${encodeURIComponent(name)}`)
  const post = async (name: string, act: string) => {
    const { copyId } = await get(name)
    await operator().request('POST', `/v1/copies/${copyId}/${act}`)
  }

  const copy = program
    .command('copy')
    .description('copies for analysts that could stand open: no person in them, and an end')
    .summary('copies for analysts')
  copy
    .command('create <name>')
    .description('make a copy of some fields, and fill it')
    .requiredOption('--purpose <text>', 'what it is for')
    .requiredOption('--fields <fields...>', 'which fields: see hearthlock catalogue --copyable')
    .addOption(
      new Option('--grain <grain>', 'times are rounded to this').choices(['hour', 'day']).default('hour'),
    )
    .requiredOption('--expires <duration>', 'when it is destroyed: 36h, 14d', duration)
    .requiredOption(
      '--to <destination>',
      'file, or postgres://user@host:port/database (the password is asked for)',
    )
    .option('--ca <file>', "who signed the destination's certificate, in PEM, where it is no usual authority")
    .option(
      '--min-group <number>',
      'the fewest devices that a shown number stands for',
      wholeNumber(1, 10_000),
    )
    .addOption(
      new Option('--from <when>', 'all of the history, or only from now on')
        .choices(['beginning', 'now'])
        .default('beginning'),
    )
    .option('--no-wait', 'do not wait until the history is in it')
    .action(async (name: string, { expires, fields, ca, wait, minGroup, ...wish }: Wish) => {
      const password =
        wish.to === 'file' ? undefined : await askSecret(terminal, 'Password for the destination: ')
      const made = await operator().request<CopyShape>('POST', '/v1/copies', {
        body: {
          name,
          ...wish,
          // Commas, too: people write them.
          fields: fields.flatMap((field) => field.split(',')).filter((field) => field !== ''),
          expiresSeconds: expires,
          ...(password && { password: password.reveal() }),
          ...(ca !== undefined && { authorityPem: await readFile(ca, 'utf8') }),
          ...(minGroup !== undefined && { minGroup }),
        },
      })
      print(terminal, `Made ${made.name}; it is destroyed on ${localTime(made.expiresAt)}.`)
      if (wait) await follow(made)
    })
  copy
    .command('list')
    .description('list the copies that hold data')
    .option('--all', 'burned ones, too')
    .action(async ({ all }: { all?: true }) => {
      const { copies } = await operator().request<{ copies: CopyShape[] }>(
        'GET',
        `/v1/copies${all ? '?all=true' : ''}`,
      )
      table(terminal, {
        header: ['NAME', 'STATE', 'FILLED', 'DESTINATION', 'UNTIL', 'PURPOSE'],
        rows: copies.map((each) => [
          each.name,
          stateOf(each),
          share(each),
          each.destination,
          localTime(each.expiresAt),
          each.purpose,
        ]),
        none: 'There is no copy. Make one with: npx hearthlock copy create --help',
      })
    })
  copy
    .command('show <copy>')
    .description('show one, by its name or id')
    .action(async (name: string) => {
      const shown = await get(name)
      const rows: [string, string][] = [
        ['name', shown.name],
        ['id', shown.copyId],
        ['purpose', shown.purpose],
        ['owner', shown.owner],
        ['state', stateOf(shown)],
        ['filled', `${shown.filled} of ${shown.head} records (${share(shown)})`],
        ['destination', shown.destination],
        ['times', `rounded to the ${shown.grain}`],
        ['groups', `numbers for fewer than ${shown.minGroup} are not shown`],
        ['made', localTime(shown.createdAt)],
        ['until', localTime(shown.expiresAt)],
        ['fields', shown.fields.join(', ')],
      ]
      for (const [what, is] of rows) print(terminal, `${what.padEnd(12)} ${is}`)
    })
  const act = (name: string, description: string, done: string) =>
    copy
      .command(`${name} <copy>`)
      .description(description)
      .action(async (wanted: string) => {
        await post(wanted, name)
        print(terminal, done)
      })
  act('pause', 'stop filling it', 'Paused. Go on with: npx hearthlock copy resume')
  act('resume', 'go on filling what was paused', 'It is being filled again.')
  act('reopen', 'let a feed that was cut flow again (security officers)', 'It is being filled again.')
  act(
    'burn',
    'destroy its key and its data, for good',
    'Burned. Its key is gone; "copy list" shows it until its data is, too.',
  )

  /** Until it has what there was when it was made. */
  async function follow({ name, head }: CopyShape): Promise<void> {
    const { stderr } = terminal
    for (;;) {
      const now = await get(name)
      const done = head === 0 ? 1 : Math.min(1, now.filled / head)
      if (stderr.isTTY) stderr.write(`\r${bar(done)} ${now.filled} of ${head} records`)
      if (done === 1 || now.state !== 'filling' || now.problem || context.signal.aborted) {
        if (stderr.isTTY) stderr.write('\n')
        print(
          terminal,
          done === 1
            ? `It holds the history: ${now.filled} records have gone through it.`
            : `Not filled: ${stateOf(now)}.`,
        )
        return
      }
      await sleep(300, undefined, { signal: context.signal }).catch(() => {})
    }
  }
}

function stateOf({ state, reason, problem }: CopyShape): string {
  if (reason !== undefined) return `${state} (${reason})`
  return problem === undefined ? state : `${state} (${problem})`
}

function share({ filled, head }: CopyShape): string {
  return head === 0 ? '100 %' : `${Math.floor((Math.min(filled, head) / head) * 100)} %`
}

export function bar(part: number, width = 24): string {
  const full = Math.round(part * width)
  return '█'.repeat(full) + '░'.repeat(width - full)
}
