import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import type { AccountId, Clock, Database, Door, PresentedInVain, Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { clientOf } from './clients.ts'
import { evenLength } from './even-length.ts'
import { type Issued, type IssuedTo, newestEpoch, type ResetEpochs } from './reset-epochs.ts'
import type { IdentityTables } from './tables.ts'

/** Where the OpenID provider keeps what it issues. */
export interface Artifacts {
  adapter(model: string): Adapter
  /** Ends the grant with this public handle, and everything issued under it. */
  endGrant(handle: string): Promise<void>
  /** The same for grants by `grantDigest`, in the caller's transaction; nobody is told of it here. */
  endGrants(tx: Tx, grantDigests: Buffer[]): Promise<void>
  isGrantLive(handle: string, tx?: Tx): Promise<boolean>
  /** The key of a grant's row. */
  grantDigest(grantId: string): Buffer
  /** Removes what has expired, a batch at a time. @returns how many rows went */
  sweep(): Promise<number>
}

/** Times in the clear are kept to the hour: a copy does not tell when exactly somebody signed in. */
const HOUR_MS = 3_600_000

interface Sealed {
  payload: AdapterPayload
  /** The exact end, which counts; the row's own is the next full hour. */
  expiresAtMs: number
}

/** What was typed, by which program and with which proof somebody signed in must not be told by a length. */
const STEP = 1024
const SWEEP_BATCH = 500
/** What a stranger presents as a secret, and where. */
const PRESENTED = new Map<string, Door>([
  ['AccessToken', 'the HTTP API'],
  ['RefreshToken', 'the token endpoint'],
  ['AuthorizationCode', 'the token endpoint'],
])
const SWEEP_BATCHES = 200

/**
 * The name of a grant towards the rest of the server: stable, and of no use to get the grant's own id. In hexadecimal:
 * people type it, and what begins with a dash is an option to a command.
 */
export function grantHandle(grantId: string): string {
  return createHash('sha256').update(`hearthlock session ${grantId}`).digest().subarray(0, 12).toString('hex')
}

/**
 * oidc-provider hands an adapter the raw token as the id, and repeats it in the payload. Here every look-up value
 * becomes a keyed digest, and the payload is sealed to its row: a copy of the table holds nothing to present.
 */
export function createArtifacts(o: {
  database: Database
  keys: Keys
  clock: Clock
  epochs: ResetEpochs
  /** A grant of this account has ended. */
  onGrantEnd: (accountId: AccountId) => void
  /** Two used one refresh token or code at the same moment, and the sign-in was ended for it. */
  onReuse: (accountId: AccountId) => Promise<void>
  presentedInVain: PresentedInVain
}): Artifacts {
  const tables = o.database.queries.withTables<IdentityTables>()
  const digesting = o.keys.purpose('identity.artifact.digest')
  const sealing = o.keys.purpose('identity.artifact.seal')
  const now = () => new Date(o.clock.nowMs())
  const where = (model: string, idDigest: Buffer) =>
    place('identity.artifact', model, idDigest.toString('hex'))
  // A grant's id looks up the grant's own row and the rows issued under it, so both use one label.
  const idLabel = (model: string, id: string) => (model === 'Grant' ? `grant:${id}` : `id:${model}:${id}`)
  const digestOf = (label: string, value: string | undefined) =>
    value === undefined ? null : digesting.digest(`${label}:${value}`)

  const endIssued = (grants: Buffer[], queries: typeof tables) =>
    queries.deleteFrom('identity.artifact').where('grant_digest', 'in', grants).execute()

  /** Ends grants of which `column` holds one of `digests`. The grant's row goes first: without it all else is dead. */
  async function endGrants(
    column: 'id_digest' | 'uid_digest',
    digests: Buffer[],
    queries = tables,
  ): Promise<AccountId[]> {
    if (digests.length === 0) return []
    const ended = await queries
      .deleteFrom('identity.artifact')
      .where('model', '=', 'Grant')
      .where(column, 'in', digests)
      .returning(['id_digest', 'sealed'])
      .execute()
    if (ended.length === 0) return []
    await endIssued(
      ended.map((row) => row.id_digest),
      queries,
    )
    return ended.map((row) => openSealed('Grant', row).payload.accountId as AccountId)
  }

  async function endGrantsNow(
    column: 'id_digest' | 'uid_digest',
    digests: Buffer[],
  ): Promise<AccountId | undefined> {
    const accountIds = await endGrants(column, digests)
    for (const accountId of accountIds) o.onGrantEnd(accountId)
    return accountIds[0]
  }

  const openSealed = (model: string, row: { id_digest: Buffer; sealed: Buffer }): Sealed =>
    JSON.parse(sealing.unseal(where(model, row.id_digest), row.sealed).toString())

  /**
   * Whether a reset has made it void. A grant goes on where its holder need not sign in anew, and so does a refresh token,
   * but only for whoever proves the key that it is bound to; with what it is exchanged for, all is of the new epoch.
   */
  async function isVoid(model: string, row: Issued, payload: AdapterPayload, tx?: Tx): Promise<boolean> {
    // Proofs that were seen stay seen.
    if (model === 'ReplayDetection') return false
    const standing = await o.epochs.standing(row, issuedTo(payload), tx)
    if (standing === 'prove_key') {
      return model !== 'Grant' && !(model === 'RefreshToken' && payload.jkt !== undefined)
    }
    return standing === 'void'
  }

  function adapter(model: string): Adapter {
    const rows = () =>
      tables.selectFrom('identity.artifact').selectAll().select(newestEpoch).where('model', '=', model)
    const idDigests = (id: string) => digesting.digests(idLabel(model, id))

    type Row = Awaited<ReturnType<ReturnType<typeof rows>['execute']>>[number]
    async function open(row: Row | undefined): Promise<AdapterPayload | undefined> {
      if (!row || row.expires_at <= now()) return undefined
      const { payload, expiresAtMs } = openSealed(model, row)
      if (expiresAtMs <= o.clock.nowMs() || (await isVoid(model, row, payload))) return undefined
      // What is done with a token is asked for once more when it is done: in which epoch it was issued goes with it.
      if (model === 'AccessToken') payload.extra = { ...(payload.extra as object), epoch: row.epoch }
      return row.consumed_at
        ? { ...payload, consumed: Math.floor(row.consumed_at.getTime() / 1000) }
        : payload
    }

    return {
      async upsert(id, payload, expiresIn) {
        if (expiresIn === undefined) throw new Error(`${model} has no time to live`)
        const [newest, ...older] = idDigests(id) as [Buffer, ...Buffer[]]
        const expiresAtMs = o.clock.nowMs() + expiresIn * 1000
        const row = {
          uid_digest: model === 'Grant' ? digestOf('handle', grantHandle(id)) : digestOf('uid', payload.uid),
          user_code_digest: digestOf('user-code', payload.userCode),
          grant_digest: digestOf('grant', payload.grantId),
          sealed: sealing.seal(
            where(model, newest),
            evenLength({ payload, expiresAtMs } satisfies Sealed, STEP),
          ),
          expires_at: new Date(Math.ceil(expiresAtMs / HOUR_MS) * HOUR_MS),
          epoch: sql<number>`default`,
        }
        // Written under a former root key: this row takes its place.
        if (older.length > 0) {
          await tables
            .deleteFrom('identity.artifact')
            .where('model', '=', model)
            .where('id_digest', 'in', older)
            .execute()
        }
        const onlyIfExpired = model === 'ReplayDetection'
        const written = await tables
          .insertInto('identity.artifact')
          .values({ model, id_digest: newest, ...row })
          .onConflict((conflict) => {
            const update = conflict.columns(['model', 'id_digest']).doUpdateSet(row)
            return onlyIfExpired ? update.where('identity.artifact.expires_at', '<=', now()) : update
          })
          .returning('model')
          .executeTakeFirst()
        // Two requests with one proof at the same moment: both found nothing, one of them wrote first.
        if (!written) throw new errors.InvalidGrant('DPoP proof JWT Replay detected')
      },

      async find(id) {
        // Clients are in the configuration; a look-up here is a stranger asking for a client that is not.
        if (model === 'Client') return undefined
        const row = await rows().where('id_digest', 'in', idDigests(id)).executeTakeFirst()
        const door = PRESENTED.get(model)
        if (!row && door) o.presentedInVain(door, [id])
        return open(row)
      },

      async findByUid(uid) {
        return open(
          await rows()
            .where('uid_digest', 'in', digesting.digests(`uid:${uid}`))
            .executeTakeFirst(),
        )
      },

      async findByUserCode(userCode) {
        const digests = digesting.digests(`user-code:${userCode}`)
        return open(await rows().where('user_code_digest', 'in', digests).executeTakeFirst())
      },

      async consume(id) {
        const used = await tables
          .updateTable('identity.artifact')
          .set({ consumed_at: new Date(o.clock.nowMs() - (o.clock.nowMs() % HOUR_MS)) })
          .where('model', '=', model)
          .where('id_digest', 'in', idDigests(id))
          .where('consumed_at', 'is', null)
          .returning('model')
          .executeTakeFirst()
        if (used) return
        // Used twice at the same moment (RFC 9700 section 4.14.2): neither user can be trusted with the rest.
        const row = await rows().where('id_digest', 'in', idDigests(id)).executeTakeFirst()
        const accountId = row?.grant_digest && (await endGrantsNow('id_digest', [row.grant_digest]))
        if (accountId) await o.onReuse(accountId)
        throw new errors.InvalidGrant('already used')
      },

      async destroy(id) {
        if (model === 'Grant') {
          await endGrantsNow('id_digest', idDigests(id))
          return
        }
        await tables
          .deleteFrom('identity.artifact')
          .where('model', '=', model)
          .where('id_digest', 'in', idDigests(id))
          .execute()
      },

      async revokeByGrantId(grantId) {
        await endIssued(digesting.digests(`grant:${grantId}`), tables)
      },
    }
  }

  async function sweep(): Promise<number> {
    let swept = 0
    for (let batch = 0; batch < SWEEP_BATCHES; batch++) {
      const { numAffectedRows = 0n } = await sql`
        delete from identity.artifact where ctid in (
          select ctid from identity.artifact where expires_at <= ${now()} limit ${SWEEP_BATCH})`.execute(
        tables,
      )
      swept += Number(numAffectedRows)
      if (numAffectedRows < SWEEP_BATCH) break
    }
    return swept
  }

  return {
    adapter,
    sweep,
    grantDigest: (grantId) => digesting.digest(idLabel('Grant', grantId)),
    async endGrant(handle) {
      await endGrantsNow('uid_digest', digesting.digests(`handle:${handle}`))
    },
    async endGrants(tx, grantDigests) {
      await endGrants('id_digest', grantDigests, tx.withTables<IdentityTables>())
    },
    async isGrantLive(handle, tx) {
      const row = await (tx?.withTables<IdentityTables>() ?? tables)
        .selectFrom('identity.artifact')
        .select(['id_digest', 'sealed', 'epoch', newestEpoch])
        .where('model', '=', 'Grant')
        .where('uid_digest', 'in', digesting.digests(`handle:${handle}`))
        .where('expires_at', '>', now())
        .executeTakeFirst()
      return row !== undefined && !(await isVoid('Grant', row, openSealed('Grant', row).payload, tx))
    },
  }
}

/** Of a sign-in that is under way, the account may not be known yet. */
function issuedTo(payload: AdapterPayload): IssuedTo {
  const { accountId, clientId, params } = payload
  if (accountId) return accountId as AccountId
  const client = clientOf(clientId ?? (params as { client_id?: unknown } | undefined)?.client_id)
  return client?.kind === 'operator' ? 'operators' : 'customers'
}
