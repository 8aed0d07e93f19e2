import type { Command } from 'commander'
import { renderUnicodeCompact } from 'uqr'
import type { CliContext } from './context.ts'
import { print } from './terminal.ts'

/** The code of an authenticator app beside the password. */
export function addSecondFactorCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const client = () => context.as('customer')

  const secondFactor = program
    .command('second-factor')
    .description('show whether your password needs a code as well; "add", "confirm" and "remove" change it')
    .summary('a code beside your password')
  secondFactor.action(async () => {
    const { on, recoveryCodes } = await client().request<{ on: boolean; recoveryCodes: number }>(
      'GET',
      '/v1/me/second-factor',
    )
    print(
      terminal,
      on
        ? `Your password needs the code of your authenticator app. Recovery codes left: ${recoveryCodes}.`
        : 'Your password needs no code. Set one up with: npx hearthlock second-factor add',
    )
  })
  secondFactor
    .command('add')
    .description('begin to set up an authenticator app')
    .action(async () => {
      const { secret, uri } = await client().request<{ secret: string; uri: string }>(
        'POST',
        '/v1/me/second-factor',
      )
      print(terminal, renderUnicodeCompact(uri))
      print(terminal, `Scan this with your authenticator app, or type: ${secret}`)
      print(terminal, 'Then, with the code that it shows: npx hearthlock second-factor confirm <code>')
    })
  secondFactor
    .command('confirm <code>')
    .description('finish setting up, and get the recovery codes')
    .action(async (code: string) => {
      const { recoveryCodes } = await client().request<{ recoveryCodes: string[] }>(
        'POST',
        '/v1/me/second-factor/confirm',
        { body: { code } },
      )
      print(
        terminal,
        'Done. Keep these apart from the app: each works once in its place, and they are not shown again.',
      )
      for (const each of recoveryCodes) print(terminal, `  ${each}`)
    })
  secondFactor
    .command('remove <code>')
    .description('do without the code; needs one of the app, or a recovery code')
    .action(async (code: string) => {
      await client().request('POST', '/v1/me/second-factor/remove', { body: { code } })
      print(terminal, 'Removed. Your password alone signs you in.')
    })
}
