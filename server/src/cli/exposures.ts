import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import type { Client } from '../client/index.ts'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { localSecond } from './local-time.ts'
import { ask, clean, print, type Terminal, table } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface ListShape {
  affectedId: string
  store: string
  from: string
  to: string
  madeAt: string
  finding?: number
  people: number
  households: number
  devices: number
  tenures: number
  fields: { name: string; people: number }[]
}

interface PersonShape {
  accountId: string
  erased: boolean
  name?: string
  email?: string
  tenures: number
  fields: string[]
}

interface NoticeShape {
  noticeId: string
  affectedId: string
  state: string
  people: number
  written: number
  waiting: number
  gone: number
  elsewhere: number
}

const REPORTS = ['gdpr-33', 'gdpr-34', 'cra-24h', 'cra-72h', 'cra-final']
const LOOK_MS = 500
const BAR = 30
const WORD = 'send'

/** Whom an exposure touched, letters to them, and drafts for authorities. */
export function addExposureCommands(program: Command, context: CliContext): void {
  addAffectedCommands(program, context)
  addNoticeCommands(program, context)
}

function addAffectedCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')

  const affected = program
    .command('affected')
    .description(
      'list exactly whose data was in a store, and which fields (security officers): docs/affected.md',
    )
    .summary('whom an exposed store touches')
    .option('--store <name>', 'the copy that stood open')
    .option('--from <time>', 'since when it may have stood open: 2026-01-31 or 2026-01-31T12:00:00Z')
    .option('--to <time>', 'until when; now unless said')
    .option('--finding <number>', 'the finding that it is about', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--json', 'as JSON')
    .action(async (o: { store?: string; from?: string; to?: string; finding?: number; json?: true }) => {
      if (o.store === undefined) {
        throw new AppError('invalid_request', { message: 'Say which store, with --store.' })
      }
      const { json, ...body } = o
      printList(terminal, await operator().request<ListShape>('POST', '/v1/affected', { body }), json)
    })

  affected
    .command('list')
    .description('the lists that were made, newest first')
    .action(async () => {
      const { lists } = await operator().request<{ lists: ListShape[] }>('GET', '/v1/affected')
      table(terminal, {
        header: ['LIST', 'STORE', 'UNTIL', 'MADE', 'PEOPLE', 'HOMES', 'DEVICES'],
        rows: lists.map((list) => [
          list.affectedId,
          clean(list.store),
          localSecond(list.to),
          localSecond(list.madeAt),
          String(list.people),
          String(list.households),
          String(list.devices),
        ]),
        none: 'No list has been made yet.',
      })
    })

  affected
    .command('people <list>')
    .description('the people of a list, with names and addresses; each look is in the audit log')
    .option('--csv <file>', 'write them into a new file that only you can read')
    .action(async (list: string, { csv }: { csv?: string }) => {
      const people = await allPeople(operator(), list)
      if (csv !== undefined) {
        await writeFile(csv, csvOf(people), { mode: 0o600, flag: 'wx' })
        print(terminal, `${people.length} people are in ${csv}. Delete it when you are done.`)
        return
      }
      table(terminal, {
        header: ['NAME', 'ADDRESS', 'ACCOUNT', 'FIELDS'],
        rows: people.map((one) => [
          one.erased ? '(erased)' : clean(one.name ?? ''),
          clean(one.email ?? ''),
          one.accountId,
          one.fields.join(' '),
        ]),
        none: 'Nobody’s data was in it.',
      })
    })

  affected
    .command('report <list>')
    .description('a draft of what the law asks for, filled with what is known')
    .addOption(new Option('--kind <which>', 'for whom').choices(REPORTS).makeOptionMandatory())
    .option('--json', 'as JSON')
    .action(async (list: string, { kind, json }: { kind: string; json?: true }) => {
      const path = `/v1/affected/${encodeURIComponent(list)}/report?kind=${kind}`
      const { markdown, ...report } = await operator().request<{ markdown: string }>('GET', path)
      print(terminal, json ? JSON.stringify(report, undefined, 2) : markdown.trimEnd())
    })
}

function addNoticeCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')
  const pathOf = (notice: string) => `/v1/notices/${encodeURIComponent(notice)}`

  const notices = program
    .command('notices')
    .description('letters to the people of a list (security officers): docs/affected.md')
    .summary('write to the people whom an exposure touches')
    .action(async () => {
      const { notices: all } = await operator().request<{ notices: NoticeShape[] }>('GET', '/v1/notices')
      table(terminal, {
        header: ['NOTICE', 'LIST', 'STATE', 'PEOPLE', 'WRITTEN', 'WAITING', 'ERASED'],
        rows: all.map((one) => [
          one.noticeId,
          one.affectedId,
          one.state,
          String(one.people),
          String(one.written),
          String(one.waiting),
          String(one.gone),
        ]),
        none: 'No notice has been drafted yet.',
      })
    })

  notices
    .command('template')
    .description('print the usual letter, to edit')
    .action(async () => {
      const { template } = await operator().request<{ template: string }>('GET', '/v1/notice-template')
      print(terminal, template.trimEnd())
    })

  notices
    .command('draft <list>')
    .description('draft a letter to everybody on a list; nobody is written to yet')
    .option('--template <file>', 'your own letter, as plain text')
    .option('--locale <tag>', 'how dates are written: en, de, fr-CA', 'en')
    .action(async (list: string, { template, locale }: { template?: string; locale: string }) => {
      const text = template === undefined ? undefined : await readFile(template, 'utf8')
      const body = { affectedId: list, locale, ...(text !== undefined && { template: text }) }
      const { noticeId, people } = await operator().request<NoticeShape>('POST', '/v1/notices', { body })
      print(terminal, `Notice ${noticeId}, for ${people} people. Nobody has been written to.`)
      print(terminal, `  npx hearthlock notices preview ${noticeId}`)
      print(terminal, `  npx hearthlock notices send ${noticeId}`)
    })

  notices
    .command('preview <notice>')
    .description('show the letter to the first person of the list')
    .action(async (notice: string) => {
      const { lines } = await operator().request<{ lines: string[] }>('GET', `${pathOf(notice)}/preview`)
      for (const line of lines) print(terminal, clean(line))
    })

  notices
    .command('send <notice>')
    .description('write to everybody on the list who has not been written to; it goes on without you')
    .option('--yes', 'do not ask')
    .action(async (notice: string, { yes }: { yes?: true }) => {
      const client = operator()
      const draft = await client.request<NoticeShape>('GET', pathOf(notice))
      const left = draft.people - draft.elsewhere
      if (!yes && (await ask(terminal, `Write to ${left} people? Type "${WORD}" to go on: `)) !== WORD) {
        throw new AppError('invalid_request', { message: 'Nobody was written to.' })
      }
      const begun = await client.request<NoticeShape>('POST', `${pathOf(notice)}/send`)
      await follow(context, client, begun)
    })

  notices
    .command('watch <notice>')
    .description('follow a notice until all of its letters have left')
    .action(async (notice: string) => {
      const client = operator()
      await follow(context, client, await client.request<NoticeShape>('GET', pathOf(notice)))
    })
}

async function allPeople(client: Client, list: string): Promise<PersonShape[]> {
  const all: PersonShape[] = []
  let after: string | undefined
  do {
    const query = after === undefined ? '' : `?after=${after}`
    const path: string = `/v1/affected/${encodeURIComponent(list)}/people${query}`
    const page = await client.request<{ people: PersonShape[]; next?: string }>('GET', path)
    all.push(...page.people)
    after = page.next
  } while (after !== undefined)
  return all
}

function csvOf(people: readonly PersonShape[]): string {
  const rows = people.map((one) => [one.accountId, one.name ?? '', one.email ?? '', one.fields.join(' ')])
  return [['account', 'name', 'email', 'fields'], ...rows]
    .map((row) => `${row.map(csvField).join(',')}\r\n`)
    .join('')
}

/** RFC 4180; what a spreadsheet would take for a formula is told apart by an apostrophe. */
function csvField(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return `"${harmless.replaceAll('"', '""')}"`
}

function printList(terminal: Terminal, list: ListShape, json?: true): void {
  if (json) {
    print(terminal, JSON.stringify(list, undefined, 2))
    return
  }
  print(terminal, `List ${list.affectedId}`)
  print(
    terminal,
    `Until ${localSecond(list.to)} the data of ${list.people} people was in ${clean(list.store)}: ${list.households} homes, ${list.devices} devices.`,
  )
  if (list.fields.length > 0) {
    table(terminal, {
      header: ['FIELD', 'PEOPLE'],
      rows: list.fields.map(({ name, people }) => [name, String(people)]),
      none: '',
    })
  }
  print(terminal, 'Next:')
  print(terminal, `  npx hearthlock affected people ${list.affectedId} --csv people.csv`)
  print(terminal, `  npx hearthlock notices draft ${list.affectedId}`)
  print(terminal, `  npx hearthlock affected report ${list.affectedId} --kind gdpr-33`)
}

/** Until its last letter has left; it goes on without whoever looks. */
async function follow({ terminal, signal }: CliContext, client: Client, begun: NoticeShape): Promise<void> {
  let latest = begun
  while ((latest.state !== 'sent' || latest.waiting > 0) && !signal.aborted) {
    showProgress(terminal, latest)
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {})
    latest = await client.request<NoticeShape>('GET', `/v1/notices/${latest.noticeId}`)
  }
  showProgress(terminal, latest)
  if (terminal.stderr.isTTY) terminal.stderr.write('\n')
  const { written, waiting, gone, elsewhere, noticeId } = latest
  print(
    terminal,
    `${written - waiting} letters have left, ${waiting} wait; ${gone} people are erased, ${elsewhere} were written to before.`,
  )
  if (latest.state !== 'sent' || waiting > 0) {
    print(terminal, `It goes on: npx hearthlock notices watch ${noticeId}`)
  }
}

function showProgress(
  { stderr }: Terminal,
  { people, written, waiting, gone, elsewhere }: NoticeShape,
): void {
  if (!stderr.isTTY) return
  const done = written - waiting + gone + elsewhere
  const share = people === 0 ? 1 : done / people
  const bar = '#'.repeat(Math.round(share * BAR)).padEnd(BAR, '-')
  stderr.write(`\r[${bar}] ${done} of ${people}\u001b[K`)
}
