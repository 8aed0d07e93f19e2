import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { addHouseholdDisputeCommands } from './disputes.ts'
import {
  devicesIn,
  findDevice,
  findHousehold,
  listDevices,
  listHouseholds,
  listPastDevices,
  NO_HOMES,
} from './find.ts'
import { nicknamesOf, sentence } from './household-log.ts'
import { addInvitationCommands } from './invitations.ts'
import { localSecond } from './local-time.ts'
import { addMemberCommands } from './members.ts'
import type { DeviceShape, HouseholdShape, LogEntryShape } from './shapes.ts'
import { addSupportCommands } from './support-access.ts'
import { print, table } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

const NO_DEVICES = 'No devices yet. Take one in with the code on its label: npx hearthlock claim <code>'

export function addHomeCommands(program: Command, context: CliContext): void {
  const { terminal } = context

  const homes = program
    .command('homes')
    .description('list your homes; "homes create" makes one')
    .summary('your homes, their people, guests, log')
  addMemberCommands(homes, context)
  addInvitationCommands(homes, context)
  addSupportCommands(homes, context)
  addHouseholdDisputeCommands(homes, context)
  homes.action(async () => {
    const rows = (await listHouseholds(context.as('customer'))).map((home) => [
      home.name,
      home.role,
      home.householdId,
    ])
    table(terminal, { header: ['NAME', 'ROLE', 'ID'], rows, none: NO_HOMES })
  })
  homes
    .command('create')
    .description('make a home')
    .requiredOption('--name <name>', 'what you call it; only its members ever see it')
    .action(async ({ name }: { name: string }) => {
      const home = await context
        .as('customer')
        .request<HouseholdShape>('POST', '/v1/households', { body: { name } })
      print(terminal, `Made the home ${home.householdId}.`)
    })

  homes
    .command('log')
    .description('show who changed what in a home, newest first')
    .option('--home <name or id>', 'of which home, when you have several')
    .option('--limit <count>', 'how many entries', wholeNumber(1, 200), 50)
    .action(async ({ home, limit }: { home?: string; limit: number }) => {
      const client = context.as('customer')
      const { householdId } = await findHousehold(client, home)
      const past = await listPastDevices(client, householdId)
      // Of two for one device the later one counts: its present nickname.
      const nicknames = nicknamesOf([...past.reverse(), ...(await listDevices(client, householdId))])
      const { entries } = await client.request<{ entries: LogEntryShape[] }>(
        'GET',
        `/v1/households/${householdId}/log?limit=${limit}`,
      )
      const rows = entries.map((entry) => [localSecond(entry.at), sentence(entry, nicknames)])
      table(terminal, { header: ['WHEN', 'WHAT'], rows, none: 'Nothing yet.' })
    })

  program
    .command('devices')
    .description('list the devices of your homes')
    .option('--home <name or id>', 'of this home only')
    .action(async ({ home }: { home?: string }) => {
      const client = context.as('customer')
      const chosen = home === undefined ? await listHouseholds(client) : [await findHousehold(client, home)]
      const rows: string[][] = []
      for (const household of chosen) {
        for (const device of await devicesIn(client, household)) rows.push(deviceRow(household.name, device))
      }
      table(terminal, {
        header: ['HOME', 'DEVICE', 'MODEL', 'ONLINE', 'ID', 'STATE'],
        rows,
        none: noDevices(chosen),
      })
    })

  program
    .command('claim <code>')
    .description('take a device into your home with the code on its label; the device must be online')
    .summary('take a device in, by its label’s code')
    .option('--home <name or id>', 'into which home, when you have several')
    .option('--nickname <name>', 'what you call it: "Front door"')
    .action(async (code: string, { home, nickname }: { home?: string; nickname?: string }) => {
      const client = context.as('customer')
      const { householdId } = await findHousehold(client, home)
      const body = nickname === undefined ? { code } : { code, nickname }
      const device = await client.request<DeviceShape>('POST', `/v1/households/${householdId}/claims`, {
        body,
      })
      print(terminal, `Claimed ${device.model.title} ${device.deviceId}.`)
    })

  program
    .command('rename <device> <nickname>')
    .description('give a device another nickname')
    .action(async (wanted: string, nickname: string) => {
      const client = context.as('customer')
      const { deviceId } = await findDevice(client, wanted)
      await client.request('PATCH', `/v1/devices/${deviceId}`, { body: { nickname } })
      print(terminal, 'Renamed.')
    })
}

function noDevices(homes: readonly HouseholdShape[]): string {
  if (homes.length === 0) return NO_HOMES
  if (homes.every(({ role }) => role === 'guest')) return 'No device is open to you now.'
  return NO_DEVICES
}

function deviceRow(home: string, device: DeviceShape): string[] {
  const state = Object.entries(device.attributes)
    .slice(0, 4)
    .map(([path, { value }]) => `${path.replace(/^1\//, '')}=${JSON.stringify(value)}`)
    .join(' ')
  return [
    home,
    device.nickname ?? '–',
    device.model.name,
    device.online ? 'yes' : 'no',
    device.deviceId,
    state,
  ]
}
