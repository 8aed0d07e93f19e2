import type { Database } from '../core/index.ts'
import type { Access, StandingRecord } from './access.ts'
import type { HeldDevice, Registry } from './face.ts'
import type { Models } from './models.ts'
import { mayAct, type Standing, seesFromMs } from './standing.ts'
import type { Standings } from './standings.ts'
import type { RegistryTables } from './tables.ts'
import { lockCurrentTenure, lockHouseholds } from './tenure-locks.ts'
import { TENURE_COLUMNS, toTenure } from './tenure-row.ts'
import type { Nicknames } from './tenure-starts.ts'

const HOUR_MS = 3_600_000
const FORMER_TENURES = 3

export type Tenures = Pick<
  Registry,
  | 'devices'
  | 'device'
  | 'renameDevice'
  | 'currentTenure'
  | 'formerTenures'
  | 'holdsNow'
  | 'authorize'
  | 'holdBack'
  | 'endHold'
>

/** The devices that households hold now, and what their members may do with them. */
export function createTenures(d: {
  database: Database
  models: Models
  standings: Standings
  access: Access
  nicknames: Nicknames
}): Tenures {
  const { database, models, standings, access, nicknames } = d
  const queries = () => database.queries.withTables<RegistryTables>()

  async function open(row: StandingRecord, standing: Standing): Promise<HeldDevice> {
    const tenure = toTenure(row)
    return {
      ...tenure,
      model: await models.get(row.model_id),
      nickname: row.nickname ? await nicknames.open(tenure, row.nickname) : undefined,
      visibleAt: (atMs) => mayAct(standing, 'view', atMs),
      seesFromMs: seesFromMs(standing),
    }
  }

  return {
    async devices(accountId, householdId) {
      await access.inHousehold({ accountId, householdId }, 'view')
      const rows = await access
        .held(accountId)
        .where('tenure.household_id', '=', householdId)
        .orderBy('tenure.started_hour')
        .orderBy('tenure.tenure_id')
        .execute()
      const visible = await Promise.all(
        rows.map(async (row) => {
          const standing = await access.allowed(row, 'view')
          return standing && open(row, standing)
        }),
      )
      return visible.filter((device) => device !== undefined)
    },

    async device(accountId, deviceId, act = 'view') {
      const { row, standing } = await access.onDevice(accountId, deviceId, act)
      return open(row, standing)
    },

    async renameDevice(accountId, deviceId, nickname) {
      const name = nicknames.check(nickname)
      const { row: seen } = await access.onDevice(accountId, deviceId, 'configure')
      await database.transaction(async (tx) => {
        await lockHouseholds(tx, [seen.household_id])
        const tenure = await lockCurrentTenure(tx, seen.tenure_id)
        if (!tenure) throw access.denied()
        // Again, now that nothing moves: the right may have ended while this waited.
        await access.onDevice(accountId, deviceId, 'configure', tx)
        await tx
          .withTables<RegistryTables>()
          .updateTable('registry.tenure')
          .set({ nickname: await nicknames.seal(tenure, name, tx) })
          .where('tenure_id', '=', tenure.tenureId)
          .execute()
      })
    },

    async currentTenure(deviceId) {
      const row = await queries()
        .selectFrom('registry.tenure as tenure')
        .select(TENURE_COLUMNS)
        .where('tenure.device_id', '=', deviceId)
        .where('tenure.ended_hour', 'is', null)
        .executeTakeFirst()
      return row && toTenure(row)
    },

    async formerTenures(deviceId) {
      const rows = await queries()
        .selectFrom('registry.tenure')
        .select('tenure_id')
        .where('device_id', '=', deviceId)
        .where('ended_hour', 'is not', null)
        .orderBy('ended_hour', 'desc')
        .limit(FORMER_TENURES)
        .execute()
      return rows.map((row) => row.tenure_id)
    },

    async holdsNow(tx, tenureId) {
      const row = await tx
        .withTables<RegistryTables>()
        .selectFrom('registry.tenure')
        .select('tenure_id')
        .where('tenure_id', '=', tenureId)
        .where('ended_hour', 'is', null)
        .executeTakeFirst()
      return row !== undefined
    },

    async authorize({ accountId, tenureId, act }) {
      const row = await standings.of(accountId).where('tenure.tenure_id', '=', tenureId).executeTakeFirst()
      const standing = row && (await access.allowed(row, act))
      if (!standing) throw access.denied()
      return { ...toTenure(row), seesFromMs: seesFromMs(standing) }
    },

    async holdBack(tx, accountId, untilMs) {
      // Whoever had the account before its recovery may have let somebody in.
      await tx
        .withTables<RegistryTables>()
        .deleteFrom('registry.invitation')
        .where('inviter', '=', accountId)
        .execute()
      const until_hour = new Date(Math.ceil(untilMs / HOUR_MS) * HOUR_MS)
      await tx
        .withTables<RegistryTables>()
        .insertInto('registry.hold')
        .values({ account_id: accountId, until_hour })
        .onConflict((conflict) =>
          conflict
            .column('account_id')
            .doUpdateSet({ until_hour })
            .where('registry.hold.until_hour', '<', until_hour),
        )
        .execute()
    },

    async endHold(tx, accountId) {
      await tx
        .withTables<RegistryTables>()
        .deleteFrom('registry.hold')
        .where('account_id', '=', accountId)
        .execute()
    },
  }
}
