import { LRUCache } from 'lru-cache'
import { type AccountId, AppError, type Clock, type Database, neighbourhood, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { SessionInfo } from './account-face.ts'
import type { Accounts } from './accounts.ts'
import type { Artifacts } from './artifacts.ts'
import { isBeforeRecovery } from './before-recovery.ts'
import { clientOf } from './clients.ts'
import type { Recoveries } from './recoveries.ts'
import { newestEpoch, type ResetEpochs } from './reset-epochs.ts'
import type { IdentityTables } from './tables.ts'

const HOUR_MS = 3_600_000
const TOUCHED_REMEMBERED = 50_000
/** Of one account. */
const MAX_SESSIONS = 100
/** What is sealed has one length. */
const SEALED_CHARACTERS = 320

/** A sign-in as it stands inside the seal. */
interface Content {
  sessionId: string
  clientId: string
  beganIn?: string | undefined
  lastIn?: string | undefined
  /** When the person began to prove who they are. */
  beganAtMs: number
  /** Since when the account has had the passkey that proved it; absent for a password. */
  passkeySinceMs?: number | undefined
  lastUsedHourMs: number
}

export interface Session extends Content {
  grantDigest: Buffer
}

export interface Sessions {
  /**
   * Writes down a sign-in whose grant has just been made.
   * @throws AppError sign_in_refused when what it was proved with has been replaced since
   */
  begin(o: {
    grantId: string
    sessionId: string
    accountId: AccountId
    clientId: string
    beganAtMs: number
    passkeySinceMs: number | undefined
    remoteAddress: string | undefined
  }): Promise<void>
  /** Notes, to the hour, when and from where a session was last used. */
  touch(o: { accountId: AccountId; sessionId: string; remoteAddress: string | undefined }): Promise<void>
  list(accountId: AccountId): Promise<Session[]>
  show(session: Session): SessionInfo
  /** Ends those of the account's sessions that `which` picks. The caller announces it after the commit. */
  end(tx: Tx, accountId: AccountId, which: (session: Session) => boolean): Promise<void>
  isLive(sessionId: string, tx?: Tx): Promise<boolean>
}

export function createSessions(o: {
  database: Database
  keys: Keys
  clock: Clock
  accounts: Accounts
  artifacts: Artifacts
  recoveries: Pick<Recoveries, 'find'>
  epochs: ResetEpochs
  /** Sessions have ended without anybody's wish. */
  onEnd: (accountId: AccountId) => void
}): Sessions {
  const tables = o.database.queries.withTables<IdentityTables>()
  const sealing = o.keys.purpose('identity.session')
  const where = (grantDigest: Buffer, accountId: AccountId) =>
    place('identity.session', grantDigest.toString('hex'), accountId)
  const hourOf = (ms: number) => ms - (ms % HOUR_MS)
  /** Session and place, and the hour in which that was noted: one write an hour, not one a request. */
  const touched = new LRUCache<string, number>({ max: TOUCHED_REMEMBERED })

  function seal(grantDigest: Buffer, accountId: AccountId, content: Content): Buffer {
    return sealing.seal(where(grantDigest, accountId), JSON.stringify(content).padEnd(SEALED_CHARACTERS))
  }

  async function live(accountId: AccountId, tx?: Tx): Promise<Session[]> {
    const rows = await (tx?.withTables<IdentityTables>() ?? tables)
      .selectFrom('identity.session as session')
      .innerJoin('identity.artifact as artifact', (join) =>
        join
          .onRef('artifact.model', '=', 'session.grant_model')
          .onRef('artifact.id_digest', '=', 'session.grant_digest'),
      )
      .select(['session.grant_digest', 'session.sealed', 'artifact.epoch', newestEpoch])
      .where('session.account_id', '=', accountId)
      .where('artifact.expires_at', '>', new Date(o.clock.nowMs()))
      .execute()
    const standings = await Promise.all(rows.map((row) => o.epochs.standing(row, accountId, tx)))
    const valid = rows.filter((_row, at) => standings[at] !== 'void')
    return valid.map(({ grant_digest: grantDigest, sealed }) => ({
      ...(JSON.parse(sealing.unseal(where(grantDigest, accountId), sealed).toString()) as Content),
      grantDigest,
    }))
  }

  /**
   * Those that are too many besides the newest, unused for longest first. After a recovery its own sessions first: a thief who signs
   * in over and over must not push out the sessions that can undo it.
   */
  async function surplus(tx: Tx, accountId: AccountId, newest: Buffer): Promise<Buffer[]> {
    const others = (await live(accountId, tx)).filter(({ grantDigest }) => !grantDigest.equals(newest))
    if (others.length < MAX_SESSIONS) return []
    const recovery = await o.recoveries.find(accountId)
    const rank = (session: Session) => (recovery && !isBeforeRecovery(session, recovery) ? 0 : 1)
    others.sort(
      (a, b) => rank(a) - rank(b) || a.lastUsedHourMs - b.lastUsedHourMs || a.beganAtMs - b.beganAtMs,
    )
    return others.slice(0, others.length - MAX_SESSIONS + 1).map(({ grantDigest }) => grantDigest)
  }

  return {
    async begin({ grantId, sessionId, accountId, clientId, beganAtMs, passkeySinceMs, remoteAddress }) {
      const grantDigest = o.artifacts.grantDigest(grantId)
      const here = remoteAddress && neighbourhood(remoteAddress)
      const content: Content = {
        sessionId,
        clientId,
        beganIn: here,
        lastIn: here,
        beganAtMs,
        passkeySinceMs,
        lastUsedHourMs: hourOf(o.clock.nowMs()),
      }
      try {
        const ended = await o.database.transaction(async (tx) => {
          // Whoever replaces a credential changes this row first and ends sessions then. Locked here, either that is seen
          // now, or this session is seen there.
          if (beganAtMs < (await o.accounts.signInsFrom(tx, accountId))) throw new AppError('sign_in_refused')
          await tx
            .withTables<IdentityTables>()
            .insertInto('identity.session')
            .values({
              grant_digest: grantDigest,
              account_id: accountId,
              sealed: seal(grantDigest, accountId, content),
            })
            .execute()
          const ending = await surplus(tx, accountId, grantDigest)
          await o.artifacts.endGrants(tx, ending)
          return ending.length
        })
        if (ended > 0) o.onEnd(accountId)
      } catch (error) {
        await o.artifacts.endGrant(sessionId)
        throw error
      }
    },

    async touch({ accountId, sessionId, remoteAddress }) {
      const here = remoteAddress && neighbourhood(remoteAddress)
      const hourMs = hourOf(o.clock.nowMs())
      const name = `${sessionId} ${here}`
      if (touched.get(name) === hourMs) return
      touched.set(name, hourMs)
      const session = (await live(accountId)).find((candidate) => candidate.sessionId === sessionId)
      if (!session || (session.lastUsedHourMs === hourMs && session.lastIn === here)) return
      const { grantDigest, ...content } = session
      const lastIn = here ?? content.lastIn
      await tables
        .updateTable('identity.session')
        .set({ sealed: seal(grantDigest, accountId, { ...content, lastIn, lastUsedHourMs: hourMs }) })
        .where('grant_digest', '=', grantDigest)
        .execute()
    },

    list: (accountId) => live(accountId),

    show: ({ sessionId, clientId, beganIn, lastIn, beganAtMs, lastUsedHourMs }) => ({
      sessionId,
      client: clientOf(clientId)?.title ?? 'unknown',
      beganIn,
      lastIn,
      beganAtMs,
      lastUsedHourMs,
    }),

    async end(tx, accountId, which) {
      const ending = (await live(accountId, tx)).filter(which)
      await o.artifacts.endGrants(
        tx,
        ending.map(({ grantDigest }) => grantDigest),
      )
    },

    isLive: (sessionId, tx) => o.artifacts.isGrantLive(sessionId, tx),
  }
}
