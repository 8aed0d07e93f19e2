import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Database } from '../core/index.ts'
import type { GuardTables } from './tables.ts'

/** A process that dies has its turn taken over after this. By the database's clock: the processes' own may differ. */
const TURN_SECONDS = 15

/** Which of several processes looks at what all of them can reach, and when the last whole round ended. */
export interface WatchTurn {
  /** Takes or keeps the turn; false when another process has it. */
  take(): Promise<boolean>
  /** Lets the next process have it at once. */
  giveUp(): Promise<void>
  roundEnded(): Promise<void>
  /** Since the last whole round, of whichever process; undefined when there has been none. */
  secondsSinceRound(): Promise<number | undefined>
}

export function createWatchTurn({ database }: { database: Database }): WatchTurn {
  const me = randomUUID()
  const tables = database.queries.withTables<GuardTables>()
  const until = sql<Date>`clock_timestamp() + make_interval(secs => ${TURN_SECONDS})`
  return {
    async take() {
      const row = await tables
        .updateTable('guard.watch')
        .set({ holder: me, until })
        .where((eb) =>
          eb.or([
            eb('holder', '=', me),
            eb('holder', 'is', null),
            eb('until', '<', sql<Date>`clock_timestamp()`),
          ]),
        )
        .returning('holder')
        .executeTakeFirst()
      return row !== undefined
    },
    async giveUp() {
      await tables
        .updateTable('guard.watch')
        .set({ holder: null, until: null })
        .where('holder', '=', me)
        .execute()
    },
    async roundEnded() {
      await tables.updateTable('guard.watch').set({ round_at: sql<Date>`clock_timestamp()` }).execute()
    },
    async secondsSinceRound() {
      const { seconds } = await tables
        .selectFrom('guard.watch')
        .select(sql<number | null>`extract(epoch from clock_timestamp() - round_at)::float8`.as('seconds'))
        .executeTakeFirstOrThrow()
      return seconds ?? undefined
    },
  }
}
