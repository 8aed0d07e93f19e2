import { AppError } from '../core/index.ts'

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
export type Weekday = (typeof weekdays)[number]

/** When a guest has access: until an end, and if wanted within hours of the week only. */
export interface GuestSchedule {
  untilMs: number
  hours?:
    | {
        /** IANA time zone, such as `Europe/Berlin`: the windows are wall-clock times there. */
        timeZone: string
        windows: GuestWindow[]
      }
    | undefined
}

/** `from` and `to` as `HH:MM`, `to` excluded. `to` at or before `from` is on the following day. */
export interface GuestWindow {
  days: Weekday[]
  from: string
  to: string
}

const MAX_WINDOWS = 21
/** A guest who stays for longer is a member. */
const MAX_GUEST_DAYS = 366
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d$/

/** @throws AppError invalid_request with what to change */
export function checkGuestSchedule(schedule: GuestSchedule, nowMs: number): void {
  const { untilMs, hours } = schedule
  if (!Number.isSafeInteger(untilMs) || untilMs <= nowMs || untilMs > nowMs + MAX_GUEST_DAYS * 86_400_000) {
    throw invalid(`A guest's access ends within ${MAX_GUEST_DAYS} days, and not in the past.`)
  }
  if (!hours) return
  if (!isTimeZone(hours.timeZone)) {
    throw invalid("A guest's hours need an IANA time zone, such as Europe/Berlin.")
  }
  if (hours.windows.length < 1 || hours.windows.length > MAX_WINDOWS || !hours.windows.every(isWindow)) {
    throw invalid(
      `A guest's hours are 1..${MAX_WINDOWS} windows of weekdays (mon … sun) with times from and to as HH:MM.`,
    )
  }
}

/** Whether a guest has access at this moment. What is not understood is outside. */
export function isWithin({ untilMs, hours }: GuestSchedule, atMs: number): boolean {
  if (!(atMs < untilMs)) return false
  if (!hours) return true
  const now = wallClock(atMs, hours.timeZone)
  if (!now) return false
  const yesterday = weekdays[(weekdays.indexOf(now.day) + 6) % 7] as Weekday
  return hours.windows.some(({ days, from, to }) =>
    from < to
      ? days.includes(now.day) && from <= now.time && now.time < to
      : (days.includes(now.day) && from <= now.time) || (days.includes(yesterday) && now.time < to),
  )
}

function wallClock(atMs: number, timeZone: string): { day: Weekday; time: string } | undefined {
  try {
    const parts = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    }).formatToParts(atMs)
    const part = (type: string) => parts.find((each) => each.type === type)?.value ?? ''
    const day = part('weekday').toLowerCase() as Weekday
    return weekdays.includes(day) ? { day, time: `${part('hour')}:${part('minute')}` } : undefined
  } catch {
    return undefined
  }
}

function isWindow({ days, from, to }: GuestWindow): boolean {
  return (
    days.length >= 1 &&
    new Set(days).size === days.length &&
    days.every((day) => weekdays.includes(day)) &&
    TIME.test(from) &&
    TIME.test(to)
  )
}

function isTimeZone(timeZone: string): boolean {
  // Offsets such as +02:00 are no place: they know no summer time.
  return /^[A-Za-z_]+(\/[A-Za-z0-9_+-]+)*$/.test(timeZone) && wallClock(0, timeZone) !== undefined
}

function invalid(message: string): AppError {
  return new AppError('invalid_request', { message })
}
