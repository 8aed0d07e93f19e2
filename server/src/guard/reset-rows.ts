import { sql } from 'kysely'
import { type AccountId, AppError, type Database, type HouseholdId, isId, type Tx } from '../core/index.ts'
import type { ResetRequest, ResetScope, ResetView } from './reset-face.ts'

/** How long a process that works on a reset may say nothing before another one takes it over. */
const WORKER_SECONDS = 15
/** What a process has reported counts no more after this: its connections ended with it. */
const NODE_SECONDS = 10

interface Row {
  reset_id: string
  scope: ResetScope
  household_id: HouseholdId | null
  store: string | null
  quietly: boolean
  operator: AccountId
  state: ResetView['state']
  begun_at: Date
  void_at: Date | null
  done_at: Date | null
  removed: number
  closed: number
  waiting: number
}

export type ResetRows = ReturnType<typeof createResetRows>

/** The tables of resets. Times are the database's: processes that share it have one clock for who works on what. */
export function createResetRows({ database }: { database: Database }) {
  const { queries } = database

  const select = (where: ReturnType<typeof sql>) => sql<Row>`
    select r.*, coalesce(sum(n.closed), 0)::int as closed,
      coalesce(sum(n.waiting) filter (where n.seen_at > now() - ${NODE_SECONDS} * interval '1 second'), 0)::int as waiting
    from guard.reset r left join guard.reset_node n using (reset_id)
    ${where} group by r.reset_id order by r.number desc limit 50`

  return {
    async add(
      tx: Tx,
      o: ResetRequest & { resetId: string; operator: AccountId; state: 'preparing' | 'void'; worker: string },
    ): Promise<void> {
      await sql`insert into guard.reset
        (reset_id, scope, household_id, store, quietly, operator, state, begun_at, void_at, worker, worker_until)
        values (${o.resetId}, ${o.scope}, ${o.householdId ?? null}, ${o.store ?? null}, ${o.quietly}, ${o.operator},
          ${o.state}, now(), ${o.state === 'void' ? sql`now()` : null}, ${o.worker},
          now() + ${WORKER_SECONDS} * interval '1 second')`.execute(tx)
    },

    async get(resetId: string): Promise<ResetView> {
      const { rows } = isId(resetId)
        ? await select(sql`where r.reset_id = ${resetId}`).execute(queries)
        : { rows: [] }
      if (!rows[0]) throw new AppError('not_found')
      return toView(rows[0])
    },

    async list(): Promise<ResetView[]> {
      return (await select(sql``).execute(queries)).rows.map(toView)
    },

    /** @returns false when somebody has done it already */
    async madeVoid(tx: Tx, resetId: string): Promise<boolean> {
      const { numAffectedRows } = await sql`update guard.reset set state = 'void', void_at = now()
        where reset_id = ${resetId} and state = 'preparing'`.execute(tx)
      return numAffectedRows === 1n
    },

    async done(resetId: string): Promise<void> {
      await sql`update guard.reset set state = 'done', done_at = now(), worker = null
        where reset_id = ${resetId} and state = 'void'`.execute(queries)
    },

    async removed(resetId: string, count: number): Promise<void> {
      await sql`update guard.reset set removed = removed + ${count} where reset_id = ${resetId}`.execute(
        queries,
      )
    },

    /** Goes on being the one who works on it. @returns false when another process has taken it over */
    async keep(resetId: string, worker: string): Promise<boolean> {
      const { numAffectedRows } = await sql`update guard.reset
        set worker_until = now() + ${WORKER_SECONDS} * interval '1 second'
        where reset_id = ${resetId} and worker = ${worker} and state <> 'done'`.execute(queries)
      return numAffectedRows === 1n
    },

    /** Resets on which nobody works any more become this process's. */
    async adopt(worker: string): Promise<string[]> {
      const { rows } = await sql<{ reset_id: string }>`update guard.reset
        set worker = ${worker}, worker_until = now() + ${WORKER_SECONDS} * interval '1 second'
        where reset_id in (select reset_id from guard.reset where state <> 'done' and worker_until < now()
          order by number for update skip locked)
        returning reset_id`.execute(queries)
      return rows.map((row) => row.reset_id)
    },

    async report(resetId: string, node: string, o: { waiting: number; closed: number }): Promise<void> {
      await sql`insert into guard.reset_node (reset_id, node, waiting, closed, seen_at)
        values (${resetId}, ${node}, ${o.waiting}, ${o.closed}, now())
        on conflict (reset_id, node) do update set waiting = excluded.waiting, closed = excluded.closed,
          seen_at = excluded.seen_at`.execute(queries)
    },
  }
}

function toView(row: Row): ResetView {
  return {
    resetId: row.reset_id,
    scope: row.scope,
    householdId: row.household_id ?? undefined,
    store: row.store ?? undefined,
    quietly: row.quietly,
    operator: row.operator,
    state: row.state,
    begunAtMs: row.begun_at.getTime(),
    voidAtMs: row.void_at?.getTime(),
    doneAtMs: row.done_at?.getTime(),
    removedSignIns: row.removed,
    closedConnections: row.closed,
    waitingConnections: row.waiting,
  }
}
