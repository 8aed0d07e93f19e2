import { sql } from 'kysely'
import {
  type DeviceId,
  type KeyId,
  newId,
  silentLog,
  systemClock,
  type TenureId,
} from '../../src/core/index.ts'
import { createKeys, type KeyProvider, keysMigrations, memoryKeyProvider } from '../../src/keys/index.ts'
import { createStream, streamMigrations } from '../../src/stream/index.ts'
import { createTestDatabase } from '../support/database.ts'
import type { TestLog, TestTenure } from './contract.ts'
import { createEffects } from './effects.ts'

/** The log in PostgreSQL, for the contract. */
export async function postgresLog(): Promise<TestLog & { url: string; provider: KeyProvider }> {
  const database = await createTestDatabase([keysMigrations, streamMigrations])
  await createEffects(database)
  const provider = memoryKeyProvider()
  const keys = createKeys({ provider, database, clock: systemClock, log: silentLog })
  await keys.start()
  return {
    database,
    url: database.url,
    provider,
    async open(limits, clock = systemClock) {
      const stream = createStream({ database, keys, clock, log: silentLog, limits })
      await stream.start()
      return stream
    },
    async tenure(): Promise<TestTenure> {
      const keyId: KeyId = await database.transaction((tx) =>
        keys.create(tx, { kind: 'tenure', subject: newId() }),
      )
      const key = await keys.open(keyId)
      return { tenureId: newId<TenureId>(), deviceId: newId<DeviceId>(), keyId, key }
    },
    async destroyKey(keyId) {
      await database.transaction((tx) => keys.destroy(tx, keyId))
    },
    async breakConnections() {
      // From the pool itself, so all but the one that asks.
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.execute(database.queries)
    },
    async drop() {
      await keys.close()
      await database.drop()
    },
  }
}
