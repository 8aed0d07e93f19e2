import type { Command } from 'commander'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { findHousehold, findMember } from './find.ts'
import { ask, print, type Terminal } from './terminal.ts'

interface EraseOptions {
  endHome?: string[]
  handOver?: string[]
}

export function addEraseCommand(program: Command, context: CliContext): void {
  const { terminal } = context

  program
    .command('erase-me')
    .description('erase your account for good, with everything that you alone have')
    .option(
      '--end-home <home...>',
      'homes of yours, by name or id, that end with you: all of their devices and history',
    )
    .option('--hand-over <home=member...>', 'homes of yours, and the adult who owns them then')
    .action(async ({ endHome = [], handOver = [] }: EraseOptions) => {
      const client = context.as('customer')
      const ends = endHome.map(async (wanted) => {
        const { householdId } = await findHousehold(client, wanted)
        return { householdId, wish: 'end' }
      })
      const handed = handOver.map(async (pair) => {
        const [home = '', member = ''] = pair.split(/=(.*)/s)
        const { householdId } = await findHousehold(client, home)
        return {
          householdId,
          wish: 'hand-over',
          to: (await findMember(client, householdId, member)).accountId,
        }
      })
      const households = await Promise.all([...ends, ...handed])
      await confirm(terminal)
      await client.request('DELETE', '/v1/me', { body: { households } })
      await client.forget()
      print(terminal, 'Erased. Nobody can bring it back; what backups still hold of it is in docs/people.md.')
    })
}

const WORD = 'erase me'

/** @throws AppError invalid_request unless the word is typed, or comes from a pipe */
async function confirm(terminal: Terminal): Promise<void> {
  if ((await ask(terminal, `This cannot be undone. Type "${WORD}" to go on: `)) === WORD) return
  throw new AppError('invalid_request', { message: 'Nothing was erased.' })
}
