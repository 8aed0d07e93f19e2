import { KEY_BYTES } from './derive.ts'

export interface KeyFileEntry {
  version: number
  secret: Buffer
  createdAtMs: number
}

const FORMAT = 1

/** JSON: `{"format":1,"keys":[{"version":1,"secret":"<base64url of 32 bytes>","createdAt":"<ISO 8601>"}]}` */
export function formatKeyFile(entries: KeyFileEntry[]): string {
  const keys = entries.map(({ version, secret, createdAtMs }) => ({
    version,
    secret: secret.toString('base64url'),
    createdAt: new Date(createdAtMs).toISOString(),
  }))
  return `${JSON.stringify({ format: FORMAT, keys }, null, 2)}\n`
}

/** Undefined when the text is not exactly such a file. Never says what is wrong: the text is the key. */
export function parseKeyFile(text: string): KeyFileEntry[] | undefined {
  const file = parseJson(text)
  if (!isRecord(file) || file.format !== FORMAT || !Array.isArray(file.keys) || file.keys.length === 0) {
    return undefined
  }
  const entries = file.keys.map(parseEntry)
  if (!entries.every((entry) => entry !== undefined)) return undefined
  const versions = new Set(entries.map((entry) => entry.version))
  return versions.size === entries.length ? entries : undefined
}

function parseEntry(entry: unknown): KeyFileEntry | undefined {
  if (!isRecord(entry)) return undefined
  const { version, secret, createdAt } = entry
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1 || version > 65_535)
    return undefined
  if (typeof secret !== 'string' || typeof createdAt !== 'string') return undefined
  const bytes = Buffer.from(secret, 'base64url')
  // The decoder skips what it does not know: only a text that comes back the same was whole.
  if (bytes.length !== KEY_BYTES || bytes.toString('base64url') !== secret) return undefined
  const createdAtMs = Date.parse(createdAt)
  return Number.isNaN(createdAtMs) ? undefined : { version, secret: bytes, createdAtMs }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
