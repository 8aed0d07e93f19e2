import { mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { JWK } from 'jose'
import { Secret } from '../core/index.ts'
import { refuseReadableByOthers, writePrivateFile } from './private-file.ts'

/** A sign-in, with the key that its tokens are bound to: whoever has only the tokens has nothing. */
export interface StoredSession {
  baseUrl: string
  clientId: string
  /** P-256. */
  privateJwk: JWK
  accessToken: Secret
  accessExpiresAtMs: number
  refreshToken: Secret
  /** The server's latest nonce for proofs (RFC 9449 section 8); no secret. */
  nonce?: string | undefined
}

export interface SessionStore {
  load(): Promise<StoredSession | undefined>
  save(session: StoredSession): Promise<void>
  clear(): Promise<void>
  /**
   * Runs alone among all that share this store, other processes included. A refresh token works once: two that use
   * it at a time look like a theft to the server, which then ends the session.
   */
  exclusively<T>(work: () => Promise<T>): Promise<T>
}

export function memorySessionStore(): SessionStore {
  let session: StoredSession | undefined
  let last: Promise<unknown> = Promise.resolve()
  return {
    load: async () => session,
    save: async (saved) => {
      session = saved
    },
    clear: async () => {
      session = undefined
    },
    exclusively(work) {
      const mine = last.then(work)
      last = mine.catch(() => {})
      return mine
    },
  }
}

/** Longer than a refresh can take: a lock of that age belongs to a process that has died. */
const STALE_LOCK_MS = 60_000
const LOCK_RETRY_MS = 50

/** One JSON file of mode 0600 in a directory of mode 0700; replaced as a whole, so that a crash leaves the old one. */
export function fileSessionStore(path: string): SessionStore {
  const directory = dirname(path)

  async function makeDirectory(): Promise<void> {
    // The mode counts when it is made here; a directory that was there keeps its owner's choice.
    await mkdir(directory, { recursive: true, mode: 0o700 })
  }
  async function lock(): Promise<() => Promise<void>> {
    const lockPath = `${path}.lock`
    await makeDirectory()
    for (;;) {
      try {
        const file = await open(lockPath, 'wx', 0o600)
        await file.close()
        return () => rm(lockPath, { force: true })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const age = await stat(lockPath).then(
        (found) => Date.now() - found.mtimeMs,
        () => 0,
      )
      if (age > STALE_LOCK_MS) await rm(lockPath, { force: true })
      else await delay(LOCK_RETRY_MS)
    }
  }
  return {
    async load() {
      try {
        await refuseReadableByOthers(path, 'session file', 'Remove it and sign in again.')
        return parse(await readFile(path, 'utf8'))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
    },
    save: (session) => writePrivateFile(path, serialise(session)),
    clear: () => rm(path, { force: true }),
    async exclusively(work) {
      const unlock = await lock()
      try {
        return await work()
      } finally {
        await unlock()
      }
    },
  }
}

function serialise(session: StoredSession): string {
  return JSON.stringify({
    format: 1,
    ...session,
    accessToken: session.accessToken.reveal(),
    refreshToken: session.refreshToken.reveal(),
  })
}

/** A file that is not ours counts as no session: signing in writes a new one. */
function parse(text: string): StoredSession | undefined {
  try {
    const found = JSON.parse(text)
    const { format, baseUrl, clientId, privateJwk, accessToken, accessExpiresAtMs, refreshToken, nonce } =
      found
    const texts = [baseUrl, clientId, accessToken, refreshToken]
    if (format !== 1 || texts.some((value) => typeof value !== 'string')) return undefined
    if (typeof accessExpiresAtMs !== 'number' || typeof privateJwk?.d !== 'string') return undefined
    return {
      baseUrl,
      clientId,
      privateJwk,
      accessToken: new Secret(accessToken),
      accessExpiresAtMs,
      refreshToken: new Secret(refreshToken),
      ...(typeof nonce === 'string' ? { nonce } : {}),
    }
  } catch {
    return undefined
  }
}
