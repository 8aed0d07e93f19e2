import type { Clock } from '../core/index.ts'
import { isClientError, notSignedIn } from './client-error.ts'
import { openProofKey, type ProofKey } from './dpop.ts'
import { discover, requestTokens } from './oauth.ts'
import type { SessionStore, StoredSession } from './session-store.ts'

/** The session in use: its tokens kept fresh, one refresh at a time. */
export interface Session {
  /** @throws ClientError unauthenticated when nobody is signed in here */
  current(): Promise<{ session: StoredSession; key: ProofKey }>
  /** After the server refused `refused`: other tokens than that. @throws ClientError unauthenticated */
  renew(refused: StoredSession): Promise<void>
  /** The server's latest nonce for proofs, as far as it is known. */
  nonce(session: StoredSession): string | undefined
  takeNonce(nonce: string): void
  /** Also for the next process that uses this session, which would be sent back for one. */
  keepNonce(session: StoredSession, nonce: string): Promise<void>
  replace(session: StoredSession): Promise<void>
  forget(): Promise<void>
}

/** Tokens are renewed this long before they end, so that none ends on the way. */
const EARLY_MS = 15_000

export function createSession(o: { baseUrl: string; store: SessionStore; clock: Clock }): Session {
  let renewing: Promise<void> | undefined
  let latestNonce: string | undefined
  let opened: { id: string; key: Promise<ProofKey> } | undefined

  async function load(): Promise<StoredSession> {
    const session = await o.store.load()
    // Tokens of another server are not sent to this one.
    if (!session || session.baseUrl !== o.baseUrl) throw notSignedIn()
    return session
  }
  function keyOf({ privateJwk }: StoredSession): Promise<ProofKey> {
    const id = `${privateJwk.x}.${privateJwk.y}`
    if (opened?.id !== id) opened = { id, key: openProofKey(privateJwk, o.clock) }
    return opened.key
  }
  async function renewAlone(refused: StoredSession): Promise<void> {
    await o.store.exclusively(async () => {
      const stored = await load()
      // Another process that shares the store was quicker.
      if (stored.accessToken.reveal() !== refused.accessToken.reveal()) return
      const { token } = await discover(o.baseUrl)
      const parameters = {
        grant_type: 'refresh_token',
        client_id: stored.clientId,
        refresh_token: stored.refreshToken.reveal(),
      }
      try {
        const key = await keyOf(stored)
        const nonce = latestNonce ?? stored.nonce
        const tokens = await requestTokens({ endpoint: token, key, clock: o.clock, parameters, nonce })
        latestNonce = tokens.nonce
        await o.store.save({ ...stored, ...tokens })
      } catch (error) {
        if (!isClientError(error, 'invalid_grant')) throw error
        await o.store.clear()
        throw notSignedIn()
      }
    })
  }
  function renew(refused: StoredSession): Promise<void> {
    renewing ??= renewAlone(refused).finally(() => {
      renewing = undefined
    })
    return renewing
  }
  return {
    async current() {
      let session = await load()
      if (session.accessExpiresAtMs - EARLY_MS <= o.clock.nowMs()) {
        await renew(session)
        session = await load()
      }
      return { session, key: await keyOf(session) }
    },
    renew,
    nonce: (session) => latestNonce ?? session.nonce,
    takeNonce(nonce) {
      latestNonce = nonce
    },
    keepNonce: ({ accessToken }, nonce) =>
      o.store.exclusively(async () => {
        const stored = await o.store.load()
        if (stored?.accessToken.reveal() !== accessToken.reveal()) return
        await o.store.save({ ...stored, nonce })
      }),
    replace: (session) => o.store.exclusively(() => o.store.save(session)),
    forget: () => o.store.exclusively(() => o.store.clear()),
  }
}
