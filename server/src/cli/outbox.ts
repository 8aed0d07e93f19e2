import type { Command } from 'commander'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { localTime } from './local-time.ts'
import { print, table } from './terminal.ts'

interface LetterShape {
  letterId: string
  kind: string
  queuedHour: string
  attempts: number
}

export function addOutboxCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')

  const outbox = program.command('outbox').description('list letters that wait to be sent (role support)')
  const list = async () => {
    const { sends, letters } = await operator().request<{ sends: boolean; letters: LetterShape[] }>(
      'GET',
      '/v1/outbox',
    )
    table(terminal, {
      header: ['LETTER', 'KIND', 'QUEUED (HOUR)', 'ATTEMPTS'],
      rows: letters.map((letter) => [
        letter.letterId,
        letter.kind,
        localTime(letter.queuedHour),
        String(letter.attempts),
      ]),
      none: 'No letter waits.',
    })
    if (!sends)
      print(
        terminal,
        'No mail server is configured: hand letters over with npx hearthlock outbox show (the newest, or <letter>)',
      )
  }
  const newest = async () => {
    const { letters } = await operator().request<{ letters: LetterShape[] }>('GET', '/v1/outbox')
    if (!letters[0]) throw new AppError('not_found', { message: 'No letter waits.' })
    return letters[0].letterId
  }
  outbox.action(list)
  outbox.command('list').description('list letters that wait to be sent').action(list)
  outbox
    .command('show [letter]')
    .description(
      'read a letter, or the newest, in its addressee’s stead; logged, and only without a mail server',
    )
    .action(async (given: string | undefined) => {
      const letter = given ?? (await newest())
      const { to, subject, text } = await operator().request<{ to: string; subject: string; text: string }>(
        'GET',
        `/v1/outbox/${encodeURIComponent(letter)}`,
      )
      print(terminal, `To: ${to}`)
      print(terminal, `Subject: ${subject}`)
      print(terminal)
      print(terminal, text.trimEnd())
    })
}
