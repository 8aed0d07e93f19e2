import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { ask, parseArguments, type WaitOption, withWait } from './control.ts'
import { localSecond, localTime } from './local-time.ts'
import type { DeviceShape, TimelineShape } from './shapes.ts'
import { print, table } from './terminal.ts'
import { timelineLine } from './watch.ts'
import { wholeNumber } from './whole-number.ts'

/** The operator's side of support access. Devices are named by their ids; nicknames are the household's. */
export function addSupportOperatorCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const client = () => context.as('operator')
  const path = (deviceId: string) => `/v1/devices/${encodeURIComponent(deviceId)}`

  const support = program
    .command('support')
    .description(
      'list the devices that households let you use; "support request" asks for one (role support)',
    )
    .summary('devices that households let you use')
    .action(async () => {
      const { devices } = await client().request<{
        devices: { deviceId: string; acts: string[]; until: string }[]
      }>('GET', '/v1/operator/devices')
      const rows = devices.map(({ deviceId, acts, until }) => [deviceId, acts.join(', '), localTime(until)])
      table(terminal, {
        header: ['DEVICE', 'MAY', 'UNTIL'],
        rows,
        none: 'No household lets you in. Get a code to say to one: npx hearthlock support request',
      })
    })

  support
    .command('request')
    .description('get a one-use code to say to a household that asks for support')
    .action(async () => {
      const { code, expiresAt } = await client().request<{ code: string; expiresAt: string }>(
        'POST',
        '/v1/operator/access-requests',
      )
      print(terminal, `Say this code to the household: ${code}`)
      print(
        terminal,
        `It works once, until ${localTime(expiresAt)}. An owner enters it: npx hearthlock homes support give`,
      )
    })

  support
    .command('device <id>')
    .description('a device as it is now; the household sees in its log that you looked')
    .action(async (id: string) => {
      const device = await client().request<DeviceShape>('GET', path(id))
      print(terminal, `${device.model.title} ${device.deviceId}, ${device.online ? 'online' : 'offline'}`)
      for (const [name, { value, at }] of Object.entries(device.attributes)) {
        print(terminal, `${localSecond(at)}  ${name}=${JSON.stringify(value)}`)
      }
    })

  support
    .command('timeline <id>')
    .description('what happened on a device, newest first')
    .option('--limit <count>', 'how many entries, 1 to 200', wholeNumber(1, 200), 20)
    .action(async (id: string, { limit }: { limit: number }) => {
      const page = await client().request<TimelineShape>('GET', `${path(id)}/timeline?limit=${limit}`)
      for (const { at, kind, payload } of page.entries)
        print(terminal, timelineLine(localSecond(at), id.slice(0, 8), kind, payload))
    })

  withWait(
    support
      .command('command <id> <command> [arguments]')
      .description('a Matter command, where the household allowed to control the device'),
  ).action((id: string, command: string, args: string | undefined, options: WaitOption) =>
    ask(context, client(), id, { command, arguments: parseArguments(args ?? '{}') }, options),
  )
}
