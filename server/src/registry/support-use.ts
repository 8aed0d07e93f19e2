import { LRUCache } from 'lru-cache'
import type { AccountId, Clock, Database, DeviceId, GrantId, HouseholdId } from '../core/index.ts'
import type { Act } from './acts.ts'
import type { HouseholdLog } from './household-log.ts'
import type { RegistryTables } from './tables.ts'

const REMEMBERED = 10_000

export interface SupportUse {
  grantId: GrantId
  operator: AccountId
  householdId: HouseholdId
  deviceId: DeviceId
  act: Act
}

/**
 * Writes into the household's log that an operator used a grant: the first time on each day (UTC) for each act. It is
 * written before the operator is answered; when it cannot be written, nothing is shown.
 */
export function createSupportUses(d: { database: Database; clock: Clock; householdLog: HouseholdLog }) {
  const written = new LRUCache<string, true>({ max: REMEMBERED })

  return async function write({ grantId, operator, householdId, deviceId, act }: SupportUse): Promise<void> {
    const day = new Date(d.clock.nowMs()).toISOString().slice(0, 10)
    const name = `${grantId} ${act} ${day}`
    if (written.has(name)) return
    await d.database.transaction(async (tx) => {
      const first = await tx
        .withTables<RegistryTables>()
        .insertInto('registry.access_use')
        .values({ grant_id: grantId, act, used_on: day })
        .onConflict((conflict) => conflict.doNothing())
        .returning('grant_id')
        .executeTakeFirst()
      if (first) {
        await d.householdLog.append(tx, householdId, {
          kind: 'support_used',
          account: operator,
          deviceId,
          act,
        })
      }
    })
    written.set(name, true)
  }
}
