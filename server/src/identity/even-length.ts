/**
 * JSON, filled up with spaces to a multiple of `step` bytes. A seal hides what is written, not how long it is: names and
 * addresses of different lengths must look alike.
 */
export function evenLength(value: object, step: number): string {
  const text = JSON.stringify(value)
  const bytes = Buffer.byteLength(text)
  return text + ' '.repeat(Math.ceil(bytes / step) * step - bytes)
}
