import type { Command } from 'commander'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { localTime } from './local-time.ts'
import { print, table } from './terminal.ts'

interface SessionShape {
  sessionId: string
  current: boolean
  client: string
  beganAt: string
  beganIn?: string
  lastUsedHour: string
  lastIn?: string
}

interface EndOptions {
  others?: true
  all?: true
  operator?: true
}

export function addSessionCommands(program: Command, context: CliContext): void {
  const { terminal } = context

  const sessions = program
    .command('sessions')
    .description('where you are signed in; "sessions end" ends some')
    .summary('where you are signed in; end that')
    .option('--operator', 'the operator’s sessions')
  sessions.action(async ({ operator }: { operator?: true }) => {
    const client = context.as(operator ? 'operator' : 'customer')
    const { sessions: all } = await client.request<{ sessions: SessionShape[] }>('GET', '/v1/me/sessions')
    table(terminal, {
      header: ['SESSION', 'CLIENT', 'BEGAN', 'FROM', 'LAST USED (HOUR)', 'FROM', ''],
      rows: all.map((session) => [
        session.sessionId,
        session.client,
        localTime(session.beganAt),
        session.beganIn ?? '',
        localTime(session.lastUsedHour),
        session.lastIn ?? '',
        session.current ? 'this one' : '',
      ]),
      none: 'No session.',
    })
    print(terminal, 'There can be 100: one more ends the one that was unused for longest.')
  })

  sessions
    .command('end [session]')
    .description('end one session, all others, or all')
    .option('--others', 'all but this one')
    .option('--all', 'this one as well')
    .option('--operator', 'of the operator’s sessions')
    .action(async (session: string | undefined, { others, all }: EndOptions, command: Command) => {
      if ([session, others, all].filter((chosen) => chosen !== undefined).length !== 1) {
        throw new AppError('invalid_request', { message: 'Name one session, or say --others or --all.' })
      }
      const { operator } = command.optsWithGlobals<EndOptions>()
      const path = session === undefined ? '' : `/${encodeURIComponent(session)}`
      const client = context.as(operator ? 'operator' : 'customer')
      await client.request('DELETE', `/v1/me/sessions${path}${others ? '?others=true' : ''}`)
      print(terminal, 'Ended. Their tokens and live views have stopped.')
    })
}
