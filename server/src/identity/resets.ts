import { sql } from 'kysely'
import type { AccountId, Bus, Clock, Database, Log } from '../core/index.ts'
import type { ResetEpochs } from './reset-epochs.ts'
import type { HeardReset, SignInReach, SignInResets } from './reset-face.ts'
import type { IdentityTables } from './tables.ts'

const SWEEP_BATCH = 5_000

export interface Resets extends SignInResets {
  start(): Promise<void>
  close(): void
}

/** Resets of sign-ins: one row that makes all that was issued before void, and what follows from it. */
export function createResets(o: {
  database: Database
  clock: Clock
  log: Log
  epochs: ResetEpochs
  bus?: Pick<Bus, 'subscribe' | 'onGap'> | undefined
}): Resets {
  const { database } = o
  const listeners = new Set<(reset: HeardReset) => void | Promise<void>>()
  let stopListening: (() => void)[] = []
  /** The newest that the listeners were told of. */
  let told = 0
  let telling: Promise<void> = Promise.resolve()

  /** Tells of all that are newer than what was told before, in their order; a hint that came twice tells of none. */
  function look(): Promise<void> {
    telling = telling.catch(() => {}).then(tellNew)
    return telling
  }

  async function tellNew(): Promise<void> {
    const fresh = await database.queries
      .withTables<IdentityTables>()
      .selectFrom('identity.reset')
      .selectAll()
      .where('epoch', '>', told)
      .orderBy('epoch')
      .execute()
    for (const { epoch, quietly, reaches, reset_id } of fresh) {
      const heard: HeardReset = {
        epoch,
        quietly,
        reached: (accountIds) => reached(reaches, reset_id, accountIds),
      }
      const outcomes = await Promise.allSettled([...listeners].map(async (listener) => listener(heard)))
      const failed = outcomes.find((outcome) => outcome.status === 'rejected')
      // It is told of again: a process that has not taken effect of it must not count as one that knows.
      if (failed) throw failed.reason
      told = epoch
    }
  }

  async function reached(reach: SignInReach, resetId: string, accountIds: readonly AccountId[]) {
    if (reach === 'everybody') return new Set(accountIds)
    const { rows } = await sql<{ account_id: AccountId }>`
      select account_id from unnest(${accountIds}::uuid[]) as asked (account_id)
      where ${within(reach, resetId, sql.ref('asked.account_id'))}`.execute(database.queries)
    return new Set(rows.map((row) => row.account_id))
  }

  return {
    async start() {
      const { rows } = await sql<{ epoch: number }>`select identity.epoch() as epoch`.execute(
        database.queries,
      )
      told = rows[0]?.epoch ?? 0
      stopListening = [
        o.bus?.subscribe('identity.reset', look) ?? (() => {}),
        o.bus?.onGap(look) ?? (() => {}),
      ]
    },
    close() {
      for (const stop of stopListening) stop()
    },

    async count({ reach, resetId = NOBODY }, tx) {
      const now = new Date(o.clock.nowMs())
      const of = (account: string) => within(reach, resetId, sql.ref(account))
      // Of millions of sign-ins few have ended and are there still: those are looked for, and taken off.
      const { rows } = await sql<{ accounts: number; sign_ins: number; codes: number }>`
        with of_grant as (select id_digest as grant_digest, epoch, expires_at from identity.artifact
          where model = 'Grant'),
        ended as (
          select grant_digest, account_id from of_grant join identity.session using (grant_digest)
            where expires_at <= ${now}
          union
          select grant_digest, account_id from of_grant join identity.session using (grant_digest)
            where epoch < (select coalesce(max(epoch), 0) from identity.reset
              where not quietly and reaches <> 'listed')
            and epoch < (identity.resets_of(account_id)).signed_out
          union
          select s.grant_digest, s.account_id from identity.reset r
            join identity.reset_account using (reset_id)
            join identity.session s using (account_id)
            join of_grant g on g.grant_digest = s.grant_digest
            where r.reaches = 'listed' and not r.quietly and g.epoch < r.epoch
        )
        select
        (select count(*) from identity.account a where ${of('a.account_id')}) as accounts,
        (select count(*) from identity.session s where ${of('s.account_id')})
          - (select count(*) from ended where ${of('ended.account_id')}) as sign_ins,
        (select count(*) from identity.mailed_code c where c.expires_hour > ${now} and ${of('c.account_id')}
          and (c.epoch = (select identity.epoch()) or c.epoch >= (identity.resets_of(c.account_id)).latest))
          as codes`.execute(tx ?? database.queries)
      const found = rows[0] as (typeof rows)[0]
      return { accounts: found.accounts, signIns: found.sign_ins, codes: found.codes }
    },

    async stage(tx, resetId, accountIds) {
      if (accountIds.length === 0) return
      await sql`insert into identity.reset_account (reset_id, account_id)
        select ${resetId}, account_id from unnest(${accountIds}::uuid[]) as staged (account_id)
        on conflict do nothing`.execute(tx)
    },

    async void(tx, { resetId, reach, quietly }) {
      // One after the other: an epoch is never used twice, and a later one is never seen before an earlier one.
      await sql`lock table identity.reset in share row exclusive mode`.execute(tx)
      await sql`insert into identity.reset (epoch, reset_id, reaches, quietly)
        values (identity.epoch() + 1, ${resetId}, ${reach}, ${quietly})`.execute(tx)
    },

    async sweep(after = Buffer.alloc(0)) {
      return await database.transaction(async (tx) => {
        await sql`set local hearthlock.after_reset = on`.execute(tx)
        // In steps of the primary key, so that those who go on are looked at once.
        const { rows } = await sql<{ grant_digest: Buffer; gone: boolean }>`
          select s.grant_digest, g.epoch < (select max(epoch) from identity.reset where not quietly)
            and g.epoch < (identity.resets_of(s.account_id)).signed_out as gone
          from identity.session s
          join identity.artifact g on g.model = s.grant_model and g.id_digest = s.grant_digest
          where s.grant_model = 'Grant' and s.grant_digest > ${after}
          order by s.grant_digest limit ${SWEEP_BATCH}`.execute(tx)
        const gone = rows.filter((row) => row.gone).map((row) => row.grant_digest)
        // The grant's row takes the session's with it; without it all else is dead, and goes after it.
        await sql`delete from identity.artifact where model = 'Grant' and id_digest = any(${gone})`.execute(
          tx,
        )
        await sql`delete from identity.artifact where grant_digest = any(${gone})`.execute(tx)
        return { removed: gone.length, next: rows.at(-1)?.grant_digest }
      })
    },

    async isCurrent({ accountId, epoch }) {
      const { rows } = await sql<{ newest_epoch: number }>`select identity.epoch() as newest_epoch`.execute(
        database.queries,
      )
      const newest_epoch = rows[0]?.newest_epoch ?? 0
      return (await o.epochs.standing({ epoch, newest_epoch }, accountId)) === 'holds'
    },

    catchUp: look,

    onReset(listener) {
      const own = (reset: HeardReset) => listener(reset)
      listeners.add(own)
      return () => listeners.delete(own)
    },
  }
}

/** No reset has it. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

function within(reach: SignInReach, resetId: string, account: ReturnType<typeof sql.ref>) {
  switch (reach) {
    case 'everybody':
      return sql`true`
    case 'customers':
      return sql`exists (select from identity.account k where k.account_id = ${account} and k.kind = 'customer')`
    case 'listed':
      return sql`exists (select from identity.reset_account l
        where l.account_id = ${account} and l.reset_id = ${resetId})`
  }
}
