import type { AccountId, Clock, Database } from '../core/index.ts'
import type { Access, StandingRecord } from './access.ts'
import type { PastDevice, Registry } from './face.ts'
import type { HouseholdLog } from './household-log.ts'
import type { Models } from './models.ts'
import { mayActInHousehold, seesFromMs } from './standing.ts'
import type { Standings } from './standings.ts'
import type { RegistryTables } from './tables.ts'
import type { TenureEndings } from './tenure-endings.ts'
import { lockHouseholds } from './tenure-locks.ts'
import { toTenure } from './tenure-row.ts'
import type { Nicknames } from './tenure-starts.ts'

/** What tenures leave to the household that held the device, as long as it keeps that. */
export function createPastTenures(d: {
  database: Database
  clock: Clock
  models: Models
  access: Access
  standings: Standings
  nicknames: Nicknames
  endings: TenureEndings
  householdLog: HouseholdLog
}): Pick<Registry, 'pastDevices' | 'pastDevice' | 'destroyHistory'> {
  const { database, clock, models, access, standings, nicknames, endings, householdLog } = d

  const ended = (accountId: AccountId) => standings.of(accountId).where('tenure.ended_hour', 'is not', null)

  async function open(row: StandingRecord): Promise<PastDevice | undefined> {
    const standing = await access.allowed(row, 'history')
    if (!standing) return undefined
    const ending = row.ending ? await endings.endingOf(toTenure(row), row.ending) : undefined
    return {
      ...toTenure(row),
      model: await models.get(row.model_id),
      nickname: row.nickname ? await nicknames.open(toTenure(row), row.nickname) : undefined,
      endedAtMs: ending?.atMs ?? (row.ended_hour as Date).getTime(),
      how: ending?.how,
      seesFromMs: seesFromMs(standing),
    }
  }

  return {
    async pastDevices(accountId, householdId) {
      await access.inHousehold({ accountId, householdId }, 'view')
      const rows = await ended(accountId)
        .where('tenure.household_id', '=', householdId)
        .where('tenure.history', '=', 'kept')
        .orderBy('tenure.ended_hour', 'desc')
        .orderBy('tenure.tenure_id')
        .execute()
      const visible = await Promise.all(rows.map(open))
      return visible.filter((device) => device !== undefined)
    },

    async pastDevice(accountId, tenureId) {
      const row = await ended(accountId).where('tenure.tenure_id', '=', tenureId).executeTakeFirst()
      const device = row && (await open(row))
      if (!device) throw access.denied()
      return device
    },

    async destroyHistory(accountId, tenureId) {
      const seen = await ended(accountId).where('tenure.tenure_id', '=', tenureId).executeTakeFirst()
      if (!seen) throw access.denied()
      await database.transaction(async (tx) => {
        await lockHouseholds(tx, [seen.household_id])
        const locked = await tx
          .withTables<RegistryTables>()
          .selectFrom('registry.tenure')
          .select('tenure_id')
          .where('tenure_id', '=', tenureId)
          .where('ended_hour', 'is not', null)
          .where('history', '=', 'kept')
          .forUpdate()
          .executeTakeFirst()
        const row =
          locked &&
          (await standings.of(accountId, tx).where('tenure.tenure_id', '=', tenureId).executeTakeFirst())
        const standing = row && (await access.allowed(row, 'history', tx))
        if (!standing) throw access.denied()
        // What is gone is gone for the whole household: its owners say so.
        if (!mayActInHousehold(standing, 'manage', clock.nowMs())) throw access.denied()
        const { deviceId, householdId } = toTenure(row)
        await householdLog.append(tx, householdId, { kind: 'history_destroyed', by: accountId, deviceId })
        await endings.destroyHistory(tx, toTenure(row))
      })
    },
  }
}
