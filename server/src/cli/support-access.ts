import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { findDevice, findHousehold, listDevices } from './find.ts'
import { deviceName, nicknamesOf } from './household-log.ts'
import { localTime } from './local-time.ts'
import type { SupportAccessShape } from './shapes.ts'
import { askSecret, print, table } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface GiveOptions {
  home?: string
  device: string[]
  control?: true
  hours: number
}

export function addSupportCommands(homes: Command, context: CliContext): void {
  const { terminal } = context
  const client = () => context.as('customer')
  const list = async (householdId: string) =>
    (
      await client().request<{ access: SupportAccessShape[] }>(
        'GET',
        `/v1/households/${householdId}/support-access`,
      )
    ).access

  const support = homes
    .command('support')
    .description('list which support operators have access to your devices; "support give" lets one in')
    .option('--home <name or id>', 'of which home, when you have several')
    .action(async ({ home }: { home?: string }) => {
      const { householdId } = await findHousehold(client(), home)
      const nicknames = nicknamesOf(await listDevices(client(), householdId))
      const rows = (await list(householdId)).map(({ operator, devices, until }) => [
        operator.name ?? '–',
        operator.accountId,
        localTime(until),
        devices
          .map(({ deviceId, acts }) => `${deviceName(deviceId, nicknames)} (${acts.at(-1) ?? ''})`)
          .join('; '),
      ])
      table(terminal, {
        header: ['OPERATOR', 'ID', 'UNTIL', 'DEVICES'],
        rows,
        none: 'No operator has access.',
      })
    })

  support
    .command('give [code]')
    .description('let in the operator who said this code; it is asked for, unless it is given')
    .requiredOption('--device <device...>', 'to which devices')
    .option('--control', 'not only to see them')
    .option('--hours <hours>', 'for how long, 1 to 72', wholeNumber(1, 72), 4)
    .option('--home <name or id>', 'of which home, when you have several')
    .action(async (given: string | undefined, options: GiveOptions) => {
      const { householdId } = await findHousehold(client(), options.home)
      const devices = await Promise.all(options.device.map((wanted) => findDevice(client(), wanted)))
      const code = given ?? (await askSecret(terminal, 'Code: ')).reveal()
      const body = {
        code,
        devices: devices.map(({ deviceId }) => deviceId),
        acts: options.control ? ['view', 'control'] : ['view'],
        hours: options.hours,
      }
      const access = await client().request<SupportAccessShape>(
        'POST',
        `/v1/households/${householdId}/support-access`,
        { body },
      )
      print(
        terminal,
        `${access.operator.name ?? 'The operator'} has access until ${localTime(access.until)}.`,
      )
      print(terminal, 'End it before with: npx hearthlock homes support end <operator>')
    })

  support
    .command('end <operator>')
    .description("end an operator's access at once, by name or id")
    .option('--home <name or id>', 'of which home, when you have several')
    .action(async (wanted: string, { home }: { home?: string }) => {
      const { householdId } = await findHousehold(client(), home)
      const found = (await list(householdId)).find(
        ({ operator }) => operator.name === wanted || operator.accountId === wanted,
      )
      const accountId = found?.operator.accountId ?? wanted
      await client().request(
        'DELETE',
        `/v1/households/${householdId}/support-access/${encodeURIComponent(accountId)}`,
      )
      print(terminal, 'Ended.')
    })
}
