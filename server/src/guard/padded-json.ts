/** JSON of a length in steps: what is sealed must not be told apart by its length. */
export function paddedJson(value: unknown, stepBytes = 512): string {
  const text = JSON.stringify(value)
  const missing = stepBytes - (Buffer.byteLength(text) % stepBytes)
  return text + ' '.repeat(missing % stepBytes)
}

export function parseJson<T>(plain: Buffer): T {
  return JSON.parse(plain.toString('utf8')) as T
}
