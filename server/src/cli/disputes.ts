import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { findHousehold, listDevices } from './find.ts'
import { deviceName, nicknamesOf } from './household-log.ts'
import { localTime } from './local-time.ts'
import type { DisputeShape } from './shapes.ts'
import { ask, print, table } from './terminal.ts'

/** The maker's side of a dispute about who holds a device. */
export function addDisputeCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')

  const disputes = program
    .command('disputes')
    .description(
      'list disputes about devices that must be released (roles support and security); "disputes open" opens one',
    )
    .summary('devices that must be released, and are not')
    .option('--all', 'those that have been decided, too')
    .action(async ({ all }: { all?: true }) => {
      const { disputes } = await operator().request<{ disputes: DisputeShape[] }>(
        'GET',
        `/v1/disputes?open=${!all}`,
      )
      const rows = disputes.map((each) => [
        each.disputeId,
        each.deviceId,
        each.state,
        localTime(each.dueAt),
        each.evidence ?? '',
        each.reason ?? '',
      ])
      table(terminal, {
        header: ['DISPUTE', 'DEVICE', 'STATE', 'DUE', 'EVIDENCE', 'REASON'],
        rows,
        none: all ? 'There has been none.' : 'None is open.',
      })
    })
  disputes
    .command('open <device>')
    .description('ask to end the tenure of a device, by its id (support); its household is told at once')
    .requiredOption('--reason <text>', 'why')
    .requiredOption('--evidence <reference>', 'where the proof is kept: a case number')
    .action(async (deviceId: string, body: { reason: string; evidence: string }) => {
      const dispute = await operator().request<DisputeShape>('POST', '/v1/disputes', {
        body: { deviceId, ...body },
      })
      print(terminal, `Opened ${dispute.disputeId}.`)
      print(terminal, `The household may object until ${localTime(dispute.dueAt)}.`)
    })
  const step = (name: string, description: string, done: string) =>
    disputes
      .command(`${name} <dispute>`)
      .description(description)
      .action(async (disputeId: string) => {
        await operator().request('POST', `/v1/disputes/${encodeURIComponent(disputeId)}/${name}`)
        print(terminal, done)
      })
  step('withdraw', 'withdraw it (support)', 'Withdrawn.')
  step(
    'reject',
    'decide it for the household (security officer)',
    'Rejected: the household keeps the device.',
  )
  step(
    'complete',
    'end the tenure when the time is up; another operator than the one who opened it',
    'Completed. The device is nobody’s now; the next claim needs its reset button.',
  )
}

/** The household's side. */
export function addHouseholdDisputeCommands(homes: Command, context: CliContext): void {
  const { terminal } = context
  const client = () => context.as('customer')

  const disputes = homes
    .command('disputes')
    .description('list disputes about your devices; "disputes object" objects to one')
    .option('--home <name or id>', 'of which home, when you have several')
    .action(async ({ home }: { home?: string }) => {
      const { householdId } = await findHousehold(client(), home)
      const { disputes } = await client().request<{ disputes: DisputeShape[] }>(
        'GET',
        `/v1/households/${householdId}/disputes`,
      )
      const nicknames = nicknamesOf(await listDevices(client(), householdId))
      const rows = disputes.map(({ disputeId, deviceId, state, dueAt }) => [
        disputeId,
        deviceName(deviceId, nicknames),
        state,
        localTime(dueAt),
      ])
      table(terminal, { header: ['DISPUTE', 'DEVICE', 'STATE', 'DUE'], rows, none: 'There is none.' })
    })
  disputes
    .command('object <dispute>')
    .description('object: then a security officer of the maker decides')
    .option('--home <name or id>', 'of which home, when you have several')
    .option('--because <text>', 'why; it is asked for, unless it is given')
    .action(async (disputeId: string, { home, because }: { home?: string; because?: string }) => {
      const { householdId } = await findHousehold(client(), home)
      const objection = because ?? (await ask(terminal, 'Why: '))
      await client().request(
        'POST',
        `/v1/households/${householdId}/disputes/${encodeURIComponent(disputeId)}/objection`,
        { body: { objection } },
      )
      print(terminal, 'Objected. A security officer of the maker decides now.')
    })
}
