import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import type { Client } from '../client/index.ts'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { findDevice } from './find.ts'
import { localSecond } from './local-time.ts'
import type { CommandShape } from './shapes.ts'
import { print } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

export interface Asked {
  command: string
  arguments?: Record<string, unknown>
}

export function addControlCommands(program: Command, context: CliContext): void {
  const simple = (name: string, description: string, command: string) =>
    withWait(program.command(`${name} <device>`).description(description)).action(
      (device: string, options: WaitOption) => send(context, device, { command, arguments: {} }, options),
    )
  simple('lock', 'lock a lock', 'DoorLock.LockDoor')
  simple('unlock', 'unlock a lock', 'DoorLock.UnlockDoor')
  simple('on', 'switch a plug or a bulb on', 'OnOff.On')
  simple('off', 'switch it off', 'OnOff.Off')
  simple('toggle', 'switch it over', 'OnOff.Toggle')

  withWait(
    program
      .command('dim <device>')
      .description('set the brightness of a bulb, 0 to 100 percent')
      .argument('<percent>', '0 to 100', wholeNumber(0, 100)),
  ).action((device: string, percent: number, options: WaitOption) => {
    const level = Math.round((percent * 254) / 100)
    const args = { Level: level, TransitionTime: null, OptionsMask: 0, OptionsOverride: 0 }
    return send(context, device, { command: 'LevelControl.MoveToLevelWithOnOff', arguments: args }, options)
  })

  withWait(
    program
      .command('color <device>')
      .description('set the colour of a bulb')
      .argument('<hue>', '0 to 360 degrees', wholeNumber(0, 360))
      .argument('<saturation>', '0 to 100 percent', wholeNumber(0, 100)),
  ).action((device: string, hue: number, saturation: number, options: WaitOption) => {
    const args = {
      Hue: Math.round((hue * 254) / 360),
      Saturation: Math.round((saturation * 254) / 100),
      TransitionTime: 0,
      OptionsMask: 0,
      OptionsOverride: 0,
    }
    return send(context, device, { command: 'ColorControl.MoveToHueAndSaturation', arguments: args }, options)
  })

  withWait(
    program
      .command('command <device> <command> [arguments]')
      .description('any Matter command of the device, with its arguments as JSON'),
  ).action((device: string, command: string, args: string | undefined, options: WaitOption) =>
    send(context, device, { command, arguments: parseArguments(args ?? '{}') }, options),
  )

  program
    .command('command-status <id>')
    .description('what became of a command')
    .action(async (id: string) => {
      const path = `/v1/commands/${encodeURIComponent(id)}`
      report(context, await context.as('customer').request<CommandShape>('GET', path))
    })
}

export interface WaitOption {
  wait: number
}

export function withWait(command: Command): Command {
  return command.option(
    '--wait <seconds>',
    'how long to wait for the outcome, 0 to 30',
    wholeNumber(0, 30),
    10,
  )
}

export function parseArguments(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('invalid_request', {
      message: 'The arguments are not JSON. Example: \'{"Level":100}\'',
      cause,
    })
  }
}

async function send(context: CliContext, wanted: string, asked: Asked, option: WaitOption): Promise<void> {
  const client = context.as('customer')
  await ask(context, client, (await findDevice(client, wanted)).deviceId, asked, option)
}

/** Asks the device, waits for its outcome, and says what that is. */
export async function ask(
  context: CliContext,
  client: Client,
  deviceId: string,
  asked: Asked,
  { wait }: WaitOption,
): Promise<void> {
  const command = await client.request<CommandShape>('POST', `/v1/devices/${deviceId}/commands`, {
    body: asked,
    // Sent again after a lost answer, the same command is not carried out twice.
    headers: { 'idempotency-key': randomUUID(), ...(wait > 0 ? { prefer: `wait=${wait}` } : {}) },
  })
  report(context, command)
}

const outcomes: Record<CommandShape['state'], string> = {
  queued: 'queued: the device has not taken it yet',
  delivered: 'delivered: the device has it, and has not answered yet',
  succeeded: 'done',
  failed: 'the device could not do it',
  expired: 'expired before the device took it or answered',
}

function report({ terminal }: CliContext, command: CommandShape): void {
  const status = command.status ? ` (${command.status})` : ''
  print(terminal, `${command.command}: ${outcomes[command.state]}${status}`)
  if (command.state === 'queued' || command.state === 'delivered') {
    print(
      terminal,
      `It expires at ${localSecond(command.expiresAt)}. See: npx hearthlock command-status ${command.commandId}`,
    )
  }
  if (command.state === 'failed' || command.state === 'expired') process.exitCode = 1
}
