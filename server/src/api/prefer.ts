/**
 * The `wait` preference of a Prefer header (RFC 7240 section 4.3) in seconds, at most `maxSeconds`. The first
 * `wait` counts; preferences that are malformed or not known are ignored, as section 2 asks.
 */
export function waitSeconds(header: string | undefined, maxSeconds: number): number | undefined {
  for (const preference of header?.split(',') ?? []) {
    const [token = ''] = preference.split(';', 1)
    const [name = '', value = ''] = token.split('=', 2)
    if (name.trim().toLowerCase() !== 'wait') continue
    const seconds = /^\s*"?([0-9]{1,9})"?\s*$/.exec(value)?.[1]
    return seconds === undefined ? undefined : Math.min(Number(seconds), maxSeconds)
  }
  return undefined
}
