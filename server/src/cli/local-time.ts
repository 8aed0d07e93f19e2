/** Swedish is the locale that writes dates the ISO way. */
const ISO_LIKE = 'sv-SE'

/** An instant as its reader's clock shows it, to the minute: 2026-11-24 15:34. */
export function localTime(at: string | number): string {
  return new Date(at).toLocaleString(ISO_LIKE, { dateStyle: 'short', timeStyle: 'short' })
}

/** The same to the second. */
export function localSecond(at: string | number): string {
  return new Date(at).toLocaleString(ISO_LIKE, { dateStyle: 'short', timeStyle: 'medium' })
}

/** The time alone, for what happens now: 15:34:07. */
export function clockTime(at: string | number): string {
  return new Date(at).toLocaleTimeString(ISO_LIKE)
}
