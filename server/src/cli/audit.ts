import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { localSecond } from './local-time.ts'
import { print, table } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface EntryShape {
  seq: number
  readable: boolean
  at?: string
  actor?: string
  act?: string
  subject?: { kind: string; id: string }
  details?: Record<string, unknown>
}

interface VerdictShape {
  intact: boolean
  entries: number
  problems: { seq: number; kind: string; count?: number }[]
  anchoredSeq?: number
  head: string
}

/** What operators and the system did, and the proof that nobody changed the list. */
export function addAuditCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')

  const audit = program
    .command('audit')
    .description('list what operators and the system did, newest first (security officers and engineers)')
    .summary('what operators and the system did')
    .option('--limit <number>', 'how many entries, up to 200', wholeNumber(1, 200), 50)
    .option('--before <number>', 'only entries before this one', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--json', 'as JSON')
    .action(async ({ limit, before, json }: { limit: number; before?: number; json?: true }) => {
      const page = await operator().request<{ entries: EntryShape[]; next?: number }>(
        'GET',
        `/v1/audit?limit=${limit}${before === undefined ? '' : `&before=${before}`}`,
      )
      if (json) {
        print(terminal, JSON.stringify(page, undefined, 2))
        return
      }
      table(terminal, {
        header: ['NO', 'AT', 'WHO', 'DID', 'TO', 'DETAILS'],
        rows: page.entries.map(rowOf),
        none: 'Nothing has been done yet.',
      })
      if (page.next !== undefined) print(terminal, `Earlier ones: npx hearthlock audit --before ${page.next}`)
    })

  audit
    .command('verify')
    .description('recompute the whole log, and say whether anything was changed, taken out or cut off')
    .option('--noted <head>', 'the last line of an earlier verification: that entry must still be there')
    .action(async ({ noted }: { noted?: string }) => {
      const query = noted === undefined ? '' : `?noted=${encodeURIComponent(noted)}`
      const verdict = await operator().request<VerdictShape>('GET', `/v1/audit/verification${query}`)
      const { entries, problems, anchoredSeq, head } = verdict
      for (const { seq, kind, count } of problems)
        print(terminal, `Entry ${seq}: ${SAID[kind] ?? kind}${many(count)}`)
      if (verdict.intact) print(terminal, `All ${entries} entries are as they were written.`)
      else {
        print(terminal, 'The audit log is NOT as it was written: somebody had write access to the database,')
        print(terminal, 'or a backup was restored. docs/guard.md says what to do.')
        process.exitCode = 1
      }
      if (anchoredSeq !== undefined)
        print(terminal, `Noted outside of the database: up to entry ${anchoredSeq}.`)
      print(terminal, 'Keep this line elsewhere, and give it to --noted next time:')
      print(terminal, head)
    })
}

const SAID: Record<string, string> = {
  changed: 'was changed',
  missing: 'is missing',
  rewritten: 'is another one than was noted',
}

function many(count = 1): string {
  return count > 1 ? `, and the ${count - 1} after it` : ''
}

function rowOf({ seq, readable, at, actor, act, subject, details }: EntryShape): string[] {
  if (!readable) return [String(seq), '', '', 'does not open: it was changed', '', '']
  return [
    String(seq),
    localSecond(at ?? 0),
    actor ?? '',
    act ?? '',
    `${subject?.kind} ${subject?.id}`,
    details ? JSON.stringify(details) : '',
  ]
}
