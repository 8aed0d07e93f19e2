import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { findDevice, findHousehold, listDevices } from './find.ts'
import { clockTime, localSecond } from './local-time.ts'
import type { TimelineShape } from './shapes.ts'
import { print } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

export function addWatchCommands(program: Command, context: CliContext): void {
  const { terminal } = context

  program
    .command('watch')
    .description('show what happens in a home, as it happens; Ctrl-C ends it')
    .option('--home <name or id>', 'which home, when you have several')
    .option('--json', 'one JSON object a line')
    .action(async ({ home, json }: { home?: string; json?: true }) => {
      const client = context.as('customer')
      const { householdId, name } = await findHousehold(client, home)
      const names = new Map(
        (await listDevices(client, householdId)).map((d) => [d.deviceId, d.nickname ?? d.model.title]),
      )
      await client.live(
        householdId,
        (update) => {
          if (json) return print(terminal, JSON.stringify(update))
          const device = names.get(update.deviceId) ?? update.deviceId.slice(0, 8)
          print(
            terminal,
            timelineLine(
              clockTime(update.at ?? context.clock.nowMs()),
              device,
              update.kind,
              update.command ?? update.payload,
            ),
          )
        },
        context.signal,
        {
          onReady: () => void (json || print(terminal, `Watching ${name}. Ctrl-C ends it.`)),
          onSecurity: (notice) =>
            print(
              terminal,
              json
                ? JSON.stringify({ kind: 'security', notice })
                : 'There is news about your account: npx hearthlock whoami',
            ),
        },
      )
    })

  program
    .command('timeline <device>')
    .description('what happened on a device, newest first')
    .option('--limit <count>', 'how many entries, 1 to 200', wholeNumber(1, 200), 20)
    .option('--before <seq>', 'older than this entry')
    .option('--json', 'one JSON object a line')
    .action(
      async (wanted: string, { limit, before, json }: { limit: number; before?: string; json?: true }) => {
        const client = context.as('customer')
        const device = await findDevice(client, wanted)
        const query = new URLSearchParams({
          limit: String(limit),
          ...(before === undefined ? {} : { before }),
        })
        const page = await client.request<TimelineShape>(
          'GET',
          `/v1/devices/${device.deviceId}/timeline?${query}`,
        )
        for (const entry of page.entries) {
          const name = device.nickname ?? device.model.title
          print(
            terminal,
            json
              ? JSON.stringify(entry)
              : timelineLine(localSecond(entry.at), name, entry.kind, entry.payload),
          )
        }
        if (json) return
        if (page.entries.length === 0) print(terminal, 'Nothing has happened here yet.')
        if (page.next !== undefined)
          print(terminal, `Older: npx hearthlock timeline ${device.deviceId} --before ${page.next}`)
      },
    )
}

export function timelineLine(time: string, device: string, kind: string, payload: unknown): string {
  return `${time}  ${device.padEnd(14)}  ${kind.padEnd(12)}  ${describe(payload)}`
}

function describe(payload: unknown): string {
  if (typeof payload !== 'object' || payload === null) return JSON.stringify(payload)
  return Object.entries(payload)
    .map(([key, value]) => `${key.replace(/^1\//, '')}=${JSON.stringify(value)}`)
    .join('  ')
}
