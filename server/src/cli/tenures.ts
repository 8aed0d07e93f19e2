import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { findDevice, findHousehold } from './find.ts'
import { localTime } from './local-time.ts'
import type { DeviceShape } from './shapes.ts'
import { askSecret, print } from './terminal.ts'

interface HistoryOption {
  destroyHistory?: true
}

const historyOf = ({ destroyHistory }: HistoryOption) => ({ history: destroyHistory ? 'destroy' : 'keep' })

export function addTenureCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const client = () => context.as('customer')
  const withHistory = (command: Command) =>
    command.option('--destroy-history', 'nobody, you included, reads any more what it did in your home')

  withHistory(
    program
      .command('release <device>')
      .description('give a device up: whoever has it may reset it and claim it'),
  ).action(async (wanted: string, options: HistoryOption) => {
    const { deviceId } = await findDevice(client(), wanted)
    await client().request('POST', `/v1/devices/${deviceId}/release`, { body: historyOf(options) })
    print(terminal, 'Released. It is nobody’s now; the next claim needs its reset button.')
    if (!options.destroyHistory) print(terminal, 'What it did: npx hearthlock past')
  })

  const transfer = program.command('transfer').description('hand a device over to another home')
  withHistory(
    transfer
      .command('offer <device>')
      .description('make a code, good once and for a day, that the other home accepts with'),
  ).action(async (wanted: string, options: HistoryOption) => {
    const { deviceId } = await findDevice(client(), wanted)
    const { code, expiresAt } = await client().request<{ code: string; expiresAt: string }>(
      'POST',
      `/v1/devices/${deviceId}/transfer-offers`,
      { body: historyOf(options) },
    )
    print(terminal, `Tell the other home: npx hearthlock transfer accept ${code}`)
    print(terminal, `It is yours until they do, at the latest ${localTime(expiresAt)}.`)
  })
  transfer
    .command('cancel <device>')
    .description('take the offer back')
    .action(async (wanted: string) => {
      const { deviceId } = await findDevice(client(), wanted)
      await client().request('DELETE', `/v1/devices/${deviceId}/transfer-offers`)
      print(terminal, 'The code is worth nothing any more.')
    })
  transfer
    .command('accept [code]')
    .description('take over a device that another home offers; the code is asked for, unless it is given')
    .option('--home <name or id>', 'into which home, when you have several')
    .option('--nickname <name>', 'what you call it')
    .action(async (given: string | undefined, { home, nickname }: { home?: string; nickname?: string }) => {
      const { householdId } = await findHousehold(client(), home)
      const code = given ?? (await askSecret(terminal, 'Code: ')).reveal()
      const device = await client().request<DeviceShape>('POST', `/v1/households/${householdId}/transfers`, {
        body: nickname === undefined ? { code } : { code, nickname },
      })
      print(terminal, `Took over ${device.model.title} ${device.deviceId}.`)
    })
}
