import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { findHousehold, listPastDevices } from './find.ts'
import { localSecond, localTime } from './local-time.ts'
import type { TimelineShape } from './shapes.ts'
import { print, table } from './terminal.ts'
import { timelineLine } from './watch.ts'
import { wholeNumber } from './whole-number.ts'

export function addPastDeviceCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const client = () => context.as('customer')

  const past = program
    .command('past')
    .description('list the devices that your home held once; "past timeline" shows what one did')
    .summary('devices that your home held once')
    .option('--home <name or id>', 'of which home, when you have several')
    .action(async ({ home }: { home?: string }) => {
      const { householdId } = await findHousehold(client(), home)
      const devices = await listPastDevices(client(), householdId)
      const rows = devices.map(({ nickname, model, endedAt, how, tenureId }) => [
        nickname ?? '–',
        model.name,
        localTime(endedAt),
        how ?? '–',
        tenureId,
      ])
      table(terminal, {
        header: ['DEVICE', 'MODEL', 'UNTIL', 'HOW IT ENDED', 'TENURE'],
        rows,
        none: 'No device has left this home with its history kept.',
      })
    })
  past
    .command('timeline <tenure>')
    .description('what a former device did in your home, newest first')
    .option('--limit <count>', 'how many entries, 1 to 200', wholeNumber(1, 200), 20)
    .option('--before <seq>', 'older than this entry')
    .action(async (tenureId: string, { limit, before }: { limit: number; before?: string }) => {
      const query = new URLSearchParams({ limit: String(limit), ...(before === undefined ? {} : { before }) })
      const { entries, next } = await client().request<TimelineShape>(
        'GET',
        `/v1/tenures/${encodeURIComponent(tenureId)}/timeline?${query}`,
      )
      for (const { at, kind, payload } of entries) {
        print(terminal, timelineLine(localSecond(at), tenureId.slice(0, 8), kind, payload))
      }
      if (entries.length === 0) print(terminal, 'Nothing has happened here.')
      if (next !== undefined)
        print(terminal, `Older: npx hearthlock past timeline ${tenureId} --before ${next}`)
    })
  past
    .command('destroy <tenure>')
    .description('destroy what a former device recorded, for everybody and for good')
    .action(async (tenureId: string) => {
      await client().request('DELETE', `/v1/tenures/${encodeURIComponent(tenureId)}/history`)
      print(terminal, 'Destroyed. A backup from before still holds it, for whoever has the root key as well.')
    })
}
