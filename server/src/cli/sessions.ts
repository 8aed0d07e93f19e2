import type { Command } from 'commander'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
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

export function addSessionCommands(program: Command, context: CliContext): void {
  const { terminal } = context

  const sessions = program
    .command('sessions')
    .description('where you are signed in; "sessions end" ends some')
    .option('--operator', 'the operator’s sessions')
  sessions.action(async ({ operator }: { operator?: true }) => {
    const client = context.as(operator ? 'operator' : 'customer')
    const { sessions: all } = await client.request<{ sessions: SessionShape[] }>('GET', '/v1/me/sessions')
    table(terminal, {
      header: ['SESSION', 'CLIENT', 'BEGAN', 'FROM', 'LAST USED', 'FROM', ''],
      rows: all.map((session) => [
        session.sessionId,
        session.client,
        session.beganAt.slice(0, 16).replace('T', ' '),
        session.beganIn ?? '',
        `${session.lastUsedHour.slice(0, 13).replace('T', ' ')}h`,
        session.lastIn ?? '',
        session.current ? 'this one' : '',
      ]),
      none: 'No session.',
    })
  })

  sessions
    .command('end [session]')
    .description('end one session, all others, or all')
    .option('--others', 'all but this one')
    .option('--all', 'this one as well')
    .action(async (session: string | undefined, { others, all }: { others?: true; all?: true }) => {
      if ([session, others, all].filter((chosen) => chosen !== undefined).length !== 1) {
        throw new AppError('invalid_request', { message: 'Name one session, or say --others or --all.' })
      }
      const { operator } = sessions.opts<{ operator?: true }>()
      const path = session === undefined ? '' : `/${encodeURIComponent(session)}`
      const client = context.as(operator ? 'operator' : 'customer')
      await client.request('DELETE', `/v1/me/sessions${path}${others ? '?others=true' : ''}`)
      print(terminal, 'Ended. Their tokens and live views have stopped.')
    })
}
