import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { localSecond } from './local-time.ts'
import { print, table } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface FindingShape {
  findingId: number
  kind: string
  state: string
  what: string
  store: string
  address: string
  evidence: string
  openedAt: string
  shutAt?: string
  feedsCut: string[]
  pages: { webhook: number; mail: number }
  acknowledged?: { by: string; at: string }
  closed?: { by: string; at: string; note?: string }
  nextSteps: string[]
}

/** What the guard has found. Made for three in the morning: each finding says what to type next. */
export function addFindingCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')
  const number = wholeNumber(1, Number.MAX_SAFE_INTEGER)

  const list = async ({ all }: { all?: true }) => {
    const { pages, findings } = await operator().request<{ pages: boolean; findings: FindingShape[] }>(
      'GET',
      `/v1/findings?all=${all === true}`,
    )
    table(terminal, {
      header: ['NO', 'STATE', 'KIND', 'STORE', 'SINCE', 'TAKEN', 'EVIDENCE'],
      rows: findings.map((each) => [
        String(each.findingId),
        each.state,
        each.kind,
        each.store,
        localSecond(each.openedAt),
        each.acknowledged ? 'yes' : 'no',
        each.evidence,
      ]),
      none: all ? 'Nothing has been found yet.' : 'Nothing is open.',
    })
    if (!pages) {
      print(
        terminal,
        'Nobody is called: set HEARTHLOCK_GUARD_WEBHOOK_URL or HEARTHLOCK_SMTP_URL (docs/guard.md).',
      )
    }
  }

  const findings = program
    .command('findings')
    .description('list what the guard has found (security officers and engineers)')
    .summary('what the guard has found')
    .option('--all', 'those that are closed, too')
    .action(list)
  findings.command('list').description('list them').option('--all', 'closed ones, too').action(list)
  findings
    .command('show <number>')
    .description('what was found, and what to do now')
    .action(async (text: string) => {
      show(await operator().request<FindingShape>('GET', `/v1/findings/${number(text)}`))
    })
  findings
    .command('acknowledge <number>')
    .description('take it: nobody is paged for it any more')
    .action(async (text: string) => {
      const path = `/v1/findings/${number(text)}/acknowledge`
      const finding = await operator().request<FindingShape>('POST', path)
      print(terminal, 'It is yours; nobody is paged for it any more.')
      show(finding)
    })
  findings
    .command('close <number>')
    .description('end it (security officers); a feed that was cut is resumed by itself')
    .option('--note <text>', 'why it is accepted, when it has not been proved to be over')
    .action(async (text: string, { note }: { note?: string }) => {
      const body = note === undefined ? {} : { note }
      const finding = await operator().request<FindingShape>('POST', `/v1/findings/${number(text)}/close`, {
        body,
      })
      print(terminal, 'Closed.')
      if (finding.feedsCut.length > 0) {
        print(terminal, 'What was cut stays cut until you reopen it:')
        for (const name of finding.feedsCut) print(terminal, `  npx hearthlock copy reopen ${name}`)
      }
    })

  function show(finding: FindingShape): void {
    const { findingId, what, store, address, evidence, state, openedAt, shutAt, feedsCut, pages } = finding
    print(terminal, `Finding ${findingId}: ${what}.`)
    print(terminal, `  Store     ${store}, ${address}`)
    print(terminal, `  Evidence  ${evidence}`)
    print(terminal, `  Since     ${localSecond(openedAt)}`)
    print(terminal, `  State     ${state}${shutAt ? `, over since ${localSecond(shutAt)}` : ''}`)
    print(terminal, `  Feeds cut ${feedsCut.join(', ') || 'none goes there'}`)
    print(terminal, `  Paged     ${pages.webhook} times by webhook, ${pages.mail} times by mail`)
    const { acknowledged, closed } = finding
    if (acknowledged) print(terminal, `  Taken     ${localSecond(acknowledged.at)} by ${acknowledged.by}`)
    if (closed) print(terminal, `  Closed    ${localSecond(closed.at)} by ${closed.by}. ${closed.note ?? ''}`)
    if (finding.nextSteps.length === 0) return
    print(terminal, 'What to do:')
    for (const [at, step] of finding.nextSteps.entries()) print(terminal, `  ${at + 1}. ${step}`)
  }
}
