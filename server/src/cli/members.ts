import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { findHousehold, findMember, listDevices, listMembers } from './find.ts'
import { addGuestOptions, type GuestOptions, guestOf, guestText } from './guest-options.ts'
import { nicknamesOf } from './household-log.ts'
import { print, table } from './terminal.ts'

interface OfHome {
  home?: string
}

export function addMemberCommands(homes: Command, context: CliContext): void {
  const { terminal } = context
  const client = () => context.as('customer')

  homes
    .command('members')
    .description('list who is in a home')
    .option('--home <name or id>', 'of which home, when you have several')
    .action(async ({ home }: OfHome) => {
      const { householdId } = await findHousehold(client(), home)
      const nicknames = nicknamesOf(await listDevices(client(), householdId))
      const rows = (await listMembers(client(), householdId)).map((member) => [
        member.name ?? '–',
        member.role,
        member.accountId,
        member.guest ? guestText(member.guest, nicknames) : '',
      ])
      table(terminal, { header: ['NAME', 'ROLE', 'ID', 'GUEST'], rows, none: 'Nobody.' })
    })

  homes
    .command('remove <member>')
    .description('remove a member or a guest; their access ends at once')
    .option('--home <name or id>', 'from which home, when you have several')
    .action(async (wanted: string, { home }: OfHome) => {
      const { householdId } = await findHousehold(client(), home)
      const { accountId } = await findMember(client(), householdId, wanted)
      await client().request('DELETE', `/v1/households/${householdId}/members/${accountId}`)
      print(terminal, 'Removed.')
    })

  homes
    .command('leave')
    .description('leave a home')
    .option('--home <name or id>', 'which home, when you have several')
    .action(async ({ home }: OfHome) => {
      const { householdId } = await findHousehold(client(), home)
      const { accountId } = await client().request<{ accountId: string }>('GET', '/v1/me')
      await client().request('DELETE', `/v1/households/${householdId}/members/${accountId}`)
      print(terminal, 'You have left.')
    })

  homes
    .command('hand-over <member>')
    .description('make an adult the owner of a home')
    .option('--stay-owner', 'own it together from then on; else you become an adult')
    .option('--home <name or id>', 'which home, when you have several')
    .action(async (wanted: string, { home, stayOwner }: OfHome & { stayOwner?: true }) => {
      const { householdId } = await findHousehold(client(), home)
      const { accountId } = await findMember(client(), householdId, wanted)
      const body = { accountId, remains: stayOwner ? 'owner' : 'adult' }
      await client().request('POST', `/v1/households/${householdId}/hand-over`, { body })
      print(terminal, 'Handed over.')
    })

  homes
    .command('adult <member>')
    .description('make a guest an adult')
    .option('--home <name or id>', 'of which home, when you have several')
    .action(async (wanted: string, { home }: OfHome) => {
      const { householdId } = await findHousehold(client(), home)
      const { accountId } = await findMember(client(), householdId, wanted)
      await client().request('PUT', `/v1/households/${householdId}/members/${accountId}`, {
        body: { role: 'adult' },
      })
      print(terminal, 'Changed.')
    })

  addGuestOptions(
    homes
      .command('guest <member>')
      .description("change a guest's times and devices, or make an adult a guest")
      .option('--home <name or id>', 'of which home, when you have several'),
  ).action(async (wanted: string, { home, ...options }: OfHome & GuestOptions) => {
    const { householdId } = await findHousehold(client(), home)
    const { accountId } = await findMember(client(), householdId, wanted)
    const body = { role: 'guest', guest: await guestOf(client(), options) }
    await client().request('PUT', `/v1/households/${householdId}/members/${accountId}`, { body })
    print(terminal, 'Changed.')
  })
}
