import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { askSecrets, print } from './terminal.ts'

export function addPasswordCommand(program: Command, context: CliContext): void {
  program
    .command('password')
    .description('set another password; both are asked for, or read from a pipe, a line each')
    .summary('set another password')
    .option('--first', 'after a sign-in with a passkey: without the present one')
    .action(async ({ first }: { first?: true }) => {
      const { terminal } = context
      const questions = first ? ['New password: '] : ['Present password: ', 'New password: ']
      const answers = await askSecrets(terminal, questions)
      const next = answers.at(-1)?.reveal()
      const body = first ? { next } : { current: answers[0]?.reveal(), next }
      await context.as('customer').request('PUT', '/v1/me/password', { body })
      print(terminal, 'Changed. Every other session has ended.')
    })
}
