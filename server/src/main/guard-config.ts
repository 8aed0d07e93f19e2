import { readFileSync, statSync } from 'node:fs'
import { type Static, Type } from 'typebox'
import { AppError, isAppError, Secret } from '../core/index.ts'
import { webhookKey } from '../guard/index.ts'

export interface GuardConfig {
  /** Absent: nobody is called by a webhook. */
  readonly webhook: { readonly url: Secret; readonly secret: Secret } | undefined
  readonly intervals: { readonly fedMs: number; readonly otherMs: number }
}

/** Keys of the environment that are the guard's. */
export const guardEnvironment = {
  HEARTHLOCK_GUARD_WEBHOOK_URL: Type.Optional(
    Type.String({
      pattern: '^https?://[^\\s@]+$',
      maxLength: 2048,
      description: 'the URL that is called when something is found, https://… (http:// on loopback only)',
    }),
  ),
  HEARTHLOCK_GUARD_WEBHOOK_SECRET: Type.Optional(Type.String({ description: 'whsec_ and base64' })),
  HEARTHLOCK_GUARD_WEBHOOK_SECRET_FILE: Type.Optional(
    Type.String({ minLength: 1, maxLength: 4096, description: 'the path of a file' }),
  ),
  HEARTHLOCK_GUARD_FEED_INTERVAL_SECONDS: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 60, description: 'a number of seconds from 1 to 60' }),
  ),
  HEARTHLOCK_GUARD_INTERVAL_SECONDS: Type.Optional(
    Type.Integer({ minimum: 5, maximum: 3600, description: 'a number of seconds from 5 to 3600' }),
  ),
}
const Environment = Type.Object(guardEnvironment)

/** @throws AppError start_refused */
export function guardConfig(
  values: Static<typeof Environment>,
  isLoopback: (host: string) => boolean,
): GuardConfig {
  return {
    webhook: webhookConfig(values, isLoopback),
    intervals: {
      fedMs: (values.HEARTHLOCK_GUARD_FEED_INTERVAL_SECONDS ?? 5) * 1000,
      otherMs: (values.HEARTHLOCK_GUARD_INTERVAL_SECONDS ?? 120) * 1000,
    },
  }
}

function webhookConfig(
  values: Static<typeof Environment>,
  isLoopback: (host: string) => boolean,
): GuardConfig['webhook'] {
  const {
    HEARTHLOCK_GUARD_WEBHOOK_URL: url,
    HEARTHLOCK_GUARD_WEBHOOK_SECRET: inline,
    HEARTHLOCK_GUARD_WEBHOOK_SECRET_FILE: file,
  } = values
  if (inline !== undefined && file !== undefined) {
    refuse('Set either HEARTHLOCK_GUARD_WEBHOOK_SECRET or HEARTHLOCK_GUARD_WEBHOOK_SECRET_FILE, not both.')
  }
  const text = inline ?? (file === undefined ? undefined : readSecret(file))
  if (url === undefined && text === undefined) return undefined
  if (url === undefined || text === undefined) {
    refuse(
      'Set HEARTHLOCK_GUARD_WEBHOOK_URL together with HEARTHLOCK_GUARD_WEBHOOK_SECRET_FILE (or HEARTHLOCK_GUARD_WEBHOOK_SECRET).',
    )
  }
  if (!URL.canParse(url)) refuse('HEARTHLOCK_GUARD_WEBHOOK_URL must be a URL.')
  const { protocol, hostname } = new URL(url)
  if (protocol === 'http:' && !isLoopback(hostname)) {
    refuse(
      'HEARTHLOCK_GUARD_WEBHOOK_URL must begin with https:// unless it names this machine only (loopback).',
    )
  }
  const secret = new Secret(text)
  webhookKey(secret)
  return { url: new Secret(url), secret }
}

function readSecret(path: string): string {
  try {
    if (statSync(path).mode & 0o077) {
      refuse(
        'HEARTHLOCK_GUARD_WEBHOOK_SECRET_FILE names a file that others on this machine can read. Run: chmod 600 on it.',
      )
    }
    return readFileSync(path, 'utf8').trim()
  } catch (cause) {
    if (isAppError(cause)) throw cause
    refuse('HEARTHLOCK_GUARD_WEBHOOK_SECRET_FILE names a file that cannot be read.', cause)
  }
}

function refuse(message: string, cause?: unknown): never {
  throw new AppError('start_refused', { message, cause })
}
