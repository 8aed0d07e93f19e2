import { type Command, Option } from 'commander'
import { Secret } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { findHousehold, listDevices } from './find.ts'
import { addGuestOptions, type GuestOptions, guestOf, guestText } from './guest-options.ts'
import { nicknamesOf } from './household-log.ts'
import { localTime } from './local-time.ts'
import type { HouseholdShape, InvitationShape } from './shapes.ts'
import { askSecret, print, table } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface InviteOptions extends GuestOptions {
  home?: string
  as: 'adult' | 'guest'
  valid: number
  mail?: string
}

export function addInvitationCommands(homes: Command, context: CliContext): void {
  const { terminal } = context
  const client = () => context.as('customer')

  addGuestOptions(
    homes
      .command('invite')
      .description('invite somebody into a home: prints a one-use code and a link')
      .addOption(new Option('--as <role>', 'adult or guest').choices(['adult', 'guest']).default('guest'))
      .option('--home <name or id>', 'into which home, when you have several')
      .option('--valid <hours>', 'how long the code is good, 1 to 168', wholeNumber(1, 168), 72)
      .option('--mail <address>', 'send the code there, too'),
  ).action(async ({ home, as, valid, mail, ...guest }: InviteOptions) => {
    const { householdId } = await findHousehold(client(), home)
    const body = {
      role: as,
      hours: valid,
      ...(as === 'guest' ? { guest: await guestOf(client(), guest) } : {}),
      ...(mail === undefined ? {} : { email: mail }),
    }
    const made = await client().request<InvitationShape & { code: string; link: string }>(
      'POST',
      `/v1/households/${householdId}/invitations`,
      { body },
    )
    print(terminal, `Code  ${made.code}`)
    print(terminal, `Link  ${made.link}`)
    print(terminal, `It works once, until ${localTime(made.expiresAt)}.`)
  })

  homes
    .command('invitations')
    .description('list the open invitations of a home')
    .option('--home <name or id>', 'of which home, when you have several')
    .action(async ({ home }: { home?: string }) => {
      const { householdId } = await findHousehold(client(), home)
      const nicknames = nicknamesOf(await listDevices(client(), householdId))
      const { invitations } = await client().request<{ invitations: InvitationShape[] }>(
        'GET',
        `/v1/households/${householdId}/invitations`,
      )
      const rows = invitations.map((each) => [
        each.invitationId,
        each.role,
        each.by.name ?? '–',
        localTime(each.expiresAt),
        each.guest ? guestText(each.guest, nicknames) : '',
      ])
      table(terminal, { header: ['ID', 'ROLE', 'BY', 'UNTIL', 'GUEST'], rows, none: 'No open invitations.' })
    })

  homes
    .command('revoke <invitation>')
    .description('take an invitation back, by its id')
    .option('--home <name or id>', 'of which home, when you have several')
    .action(async (invitationId: string, { home }: { home?: string }) => {
      const { householdId } = await findHousehold(client(), home)
      const path = `/v1/households/${householdId}/invitations/${encodeURIComponent(invitationId)}`
      await client().request('DELETE', path)
      print(terminal, 'Revoked.')
    })

  homes
    .command('join [code]')
    .description('come into a home by an invitation; its code or link is asked for, unless it is given')
    .action(async (given: string | undefined) => {
      const typed = given === undefined ? await askSecret(terminal, 'Code or link: ') : new Secret(given)
      const code = typed.reveal().replace(/^.*#/, '')
      const home = await client().request<HouseholdShape>('POST', '/v1/invitations/accept', {
        body: { code },
      })
      print(terminal, `You are in the home ${home.name}, as ${home.role}.`)
    })
}
