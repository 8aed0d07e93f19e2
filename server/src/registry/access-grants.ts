import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type GrantId,
  type HouseholdId,
  newId,
  type Tx,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import type { DeviceGrant, GrantedAct } from './people-face.ts'
import type { AccessGrant } from './standing.ts'
import { grantPlace } from './standings.ts'
import type { RegistryTables } from './tables.ts'

type Grantee = AccessGrant['grantee']

/** A grant as it stands: whose, on which device. */
export interface StandingGrant extends DeviceGrant {
  accountId: AccountId
  untilMs?: number | undefined
}

/** Grants on the devices that a household holds now. All writing goes under the lock of the household's row. */
export interface AccessGrants {
  /**
   * Takes the place of all that the account was granted in the household, and begins now: what happened on the devices
   * before is not seen by it.
   * @throws AppError not_found when the household does not hold one of the devices
   */
  give(
    tx: Tx,
    grant: {
      householdId: HouseholdId
      accountId: AccountId
      grantee: Grantee
      devices: readonly DeviceGrant[]
      untilMs?: number | undefined
      /** Leave out devices that the household does not hold any more. */
      heldOnly?: boolean
    },
  ): Promise<void>
  /** @returns how many there were */
  end(tx: Tx, householdId: HouseholdId, accountId: AccountId): Promise<number>
  list(householdId: HouseholdId, grantee: Grantee): Promise<StandingGrant[]>
  /** All that an account was granted, wherever. */
  of(accountId: AccountId, grantee: Grantee): Promise<StandingGrant[]>
}

const TERMS_BYTES = 128

export function createAccessGrants({
  database,
  keys,
  clock,
}: {
  database: Database
  keys: Keys
  clock: Clock
}): AccessGrants {
  async function end(tx: Tx, householdId: HouseholdId, accountId: AccountId): Promise<number> {
    const tables = tx.withTables<RegistryTables>()
    const { numDeletedRows } = await tables
      .deleteFrom('registry.access_grant')
      .where('account_id', '=', accountId)
      .where('tenure_id', 'in', (eb) =>
        eb
          .selectFrom('registry.tenure')
          .select('registry.tenure.tenure_id')
          .where('registry.tenure.household_id', '=', householdId),
      )
      .executeTakeFirst()
    return Number(numDeletedRows)
  }

  const standing = (grantee: Grantee) =>
    database.queries
      .withTables<RegistryTables>()
      .selectFrom('registry.access_grant as access')
      .innerJoin('registry.tenure as tenure', 'tenure.tenure_id', 'access.tenure_id')
      .select(['access.grant_id', 'access.account_id', 'access.terms', 'tenure.device_id', 'tenure.key_id'])
      .where('tenure.ended_hour', 'is', null)
      .where('access.grantee', '=', grantee)
      .orderBy('tenure.started_hour')
      .orderBy('tenure.tenure_id')

  async function open(
    row: Awaited<ReturnType<ReturnType<typeof standing>['executeTakeFirstOrThrow']>>,
  ): Promise<StandingGrant> {
    const key = await keys.open(row.key_id)
    const { acts, untilMs } = parseJson<{ acts: GrantedAct[]; untilMs?: number }>(
      key.unseal(grantPlace(row.grant_id), row.terms),
    )
    return { accountId: row.account_id, deviceId: row.device_id, acts, untilMs }
  }

  return {
    end,

    async give(tx, { householdId, accountId, grantee, devices, untilMs, heldOnly }) {
      await end(tx, householdId, accountId)
      const tables = tx.withTables<RegistryTables>()
      for (const { deviceId, acts } of devices) {
        const tenure = await tables
          .selectFrom('registry.tenure')
          .select(['tenure_id', 'key_id'])
          .where('household_id', '=', householdId)
          .where('device_id', '=', deviceId)
          .where('ended_hour', 'is', null)
          .executeTakeFirst()
        if (!tenure && heldOnly) continue
        if (!tenure) throw new AppError('not_found')
        const grantId = newId<GrantId>()
        const key = await keys.open(tenure.key_id, tx)
        const sinceMs = clock.nowMs()
        const terms = paddedJson({ acts, sinceMs, ...(untilMs !== undefined && { untilMs }) }, TERMS_BYTES)
        await tables
          .insertInto('registry.access_grant')
          .values({
            grant_id: grantId,
            tenure_id: tenure.tenure_id,
            account_id: accountId,
            grantee,
            terms: key.seal(grantPlace(grantId), terms),
          })
          .execute()
      }
    },

    list: async (householdId, grantee) =>
      Promise.all(
        (await standing(grantee).where('tenure.household_id', '=', householdId).execute()).map(open),
      ),
    of: async (accountId, grantee) =>
      Promise.all((await standing(grantee).where('access.account_id', '=', accountId).execute()).map(open)),
  }
}

/** `control` holds `view`; each device once. @throws AppError invalid_request */
export function checkDeviceGrants(devices: readonly DeviceGrant[]): DeviceGrant[] {
  if (new Set(devices.map(({ deviceId }) => deviceId)).size !== devices.length) {
    throw new AppError('invalid_request', { message: 'A device is named twice.' })
  }
  return devices.map(({ deviceId, acts }) => {
    if (acts.length === 0 || !acts.every((act) => act === 'view' || act === 'control')) {
      throw new AppError('invalid_request', {
        message: 'What may be done on a device is view, or view and control.',
      })
    }
    return { deviceId, acts: acts.includes('control') ? ['view', 'control'] : ['view'] }
  })
}
