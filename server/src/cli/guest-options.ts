import type { Command } from 'commander'
import type { Client } from '../client/index.ts'
import { AppError } from '../core/index.ts'
import { findDevice } from './find.ts'
import { localTime } from './local-time.ts'
import type { GuestShape } from './shapes.ts'

export interface GuestOptions {
  until?: string
  hours?: string[]
  timeZone?: string
  view?: string[]
  control?: string[]
}

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const WINDOW = /^([a-z]{3})(?:-([a-z]{3}))? (\d\d:\d\d)-(\d\d:\d\d)$/

export function addGuestOptions(command: Command): Command {
  return command
    .option('--until <time>', 'when the guest’s access ends: with the day 2027-08-31, or at 2027-08-31T10:00')
    .option('--hours <window...>', 'only then, such as "mon-fri 09:00-12:30"')
    .option('--time-zone <zone>', 'of the hours, such as Europe/Berlin; this machine’s unless said')
    .option('--view <device...>', 'devices that the guest sees')
    .option('--control <device...>', 'devices that the guest sees and controls')
}

/** What the options say of a guest. @throws AppError invalid_request when something is missing or not understood */
export async function guestOf(client: Client, options: GuestOptions): Promise<GuestShape> {
  const until = endOf(options.until ?? '')
  const grants = async (devices: string[] = [], acts: string[]) =>
    Promise.all(
      devices.map(async (wanted) => ({ deviceId: (await findDevice(client, wanted)).deviceId, acts })),
    )
  const devices = [
    ...(await grants(options.control, ['view', 'control'])),
    ...(await grants(options.view, ['view'])),
  ]
  const timeZone = options.timeZone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone
  return {
    until: until.toISOString(),
    devices,
    ...(options.hours ? { hours: { timeZone, windows: options.hours.map(windowOf) } } : {}),
  }
}

/** A day alone is meant with its evening: until it is over where this command runs. */
function endOf(text: string): Date {
  const until = new Date(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T24:00` : text)
  if (!Number.isNaN(until.getTime())) return until
  throw new AppError('invalid_request', {
    message: 'Say when the guest’s access ends, with --until 2027-08-31 or --until 2027-08-31T10:00.',
  })
}

function windowOf(text: string): { days: string[]; from: string; to: string } {
  const [, first = '', last = first, from = '', to = ''] = WINDOW.exec(text.toLowerCase()) ?? []
  const [begin, end] = [DAYS.indexOf(first), DAYS.indexOf(last)]
  if (begin < 0 || end < 0) {
    throw new AppError('invalid_request', {
      message: 'Hours are written as "mon-fri 09:00-12:30" or "sat 10:00-11:00".',
    })
  }
  // "fri-mon" goes over the weekend.
  const count = ((end - begin + 7) % 7) + 1
  const days = Array.from({ length: count }, (_, at) => DAYS[(begin + at) % 7] as string)
  return { days, from, to }
}

export function guestText(
  { until, hours, devices }: GuestShape,
  nicknames: ReadonlyMap<string, string>,
): string {
  const parts = [`until ${localTime(until)}`]
  for (const { days, from, to } of hours?.windows ?? []) parts.push(`${days.join(',')} ${from}-${to}`)
  if (hours) parts.push(hours.timeZone)
  for (const { deviceId, acts } of devices) {
    parts.push(
      `${nicknames.get(deviceId) ?? deviceId.slice(0, 8)} (${acts.includes('control') ? 'control' : 'view'})`,
    )
  }
  return parts.join('; ')
}
