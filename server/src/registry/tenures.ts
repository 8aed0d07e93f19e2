import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type DeviceId,
  type HouseholdId,
  newId,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Changes } from './changes.ts'
import { canonicalClaimCode } from './claim-code.ts'
import { isViolation } from './database-error.ts'
import type { Act, HeldDevice, Model, Registry, Tenure } from './face.ts'
import type { HouseholdLog } from './household-log.ts'
import type { Memberships } from './memberships.ts'
import type { Models } from './models.ts'
import { checkName, padName, unpadName } from './names.ts'
import { mayAct, mayActInHousehold, type Standing } from './standing.ts'
import { createStandings } from './standings.ts'
import { createSupportUses } from './support-use.ts'
import type { RegistryTables } from './tables.ts'
import { TENURE_COLUMNS, toTenure } from './tenure-row.ts'

const HOUR_MS = 3_600_000
const MAX_DEVICES = 500

export type Tenures = Pick<
  Registry,
  'claim' | 'devices' | 'device' | 'renameDevice' | 'currentTenure' | 'authorize' | 'holdBack' | 'endHold'
> & { stats(): Record<string, number> }

export interface TenuresOptions {
  database: Database
  keys: Keys
  clock: Clock
  models: Models
  memberships: Memberships
  householdLog: HouseholdLog
  changes: Changes
  isOnline: (deviceId: DeviceId) => boolean | Promise<boolean>
}

/** What a decision to allow rested on. */
interface Allowed {
  standing: Standing
  model: Model
}

const nicknamePlace = (id: TenureId) => place('registry.tenure.nickname', id)

export function createTenures(options: TenuresOptions): Tenures {
  const { database, keys, clock, models, memberships, householdLog, changes, isOnline } = options
  const claimDigests = keys.purpose('registry.claim-code')
  const counts = { claims: 0, claimsRefused: 0, denied: 0 }
  const queries = () => database.queries.withTables<RegistryTables>()

  const standings = createStandings({ database, keys, clock, models })
  const supportUsed = createSupportUses({ database, clock, householdLog })

  /** Current tenures with which the account has anything to do. */
  const held = (accountId: AccountId) => standings.of(accountId).where('tenure.ended_hour', 'is', null)
  type HeldRow = Awaited<ReturnType<ReturnType<typeof held>['executeTakeFirstOrThrow']>>

  /** The row's device, when the account may do this on it now. */
  async function allowed(row: HeldRow, act: Act): Promise<Allowed | undefined> {
    const { standing, model } = await standings.open(row)
    if (!mayAct(standing, act, clock.nowMs())) return undefined
    const { grant_id: grantId, account_id: operator, household_id: householdId, device_id: deviceId } = row
    if (standing.role === undefined && grantId) {
      await supportUsed({ grantId, operator, householdId, deviceId, act })
    }
    return { standing, model }
  }

  async function open(row: HeldRow, { standing, model }: Allowed): Promise<HeldDevice> {
    const key = await keys.open(row.key_id)
    const nickname = row.nickname && unpadName(key.unseal(nicknamePlace(row.tenure_id), row.nickname))
    return {
      ...toTenure(row),
      model,
      nickname: nickname ?? undefined,
      visibleAt: (atMs) => mayAct(standing, 'view', atMs),
    }
  }

  function denied(): AppError {
    counts.denied++
    return new AppError('not_found')
  }

  function refused(): AppError {
    counts.claimsRefused++
    return new AppError('claim_refused')
  }

  /** Locks, in this order always: the household, the device. Then whatever was read here holds until the commit. */
  async function startTenure(
    tx: Tx,
    request: { accountId: AccountId; householdId: HouseholdId; code: string; nickname: string | undefined },
  ): Promise<Tenure> {
    const tables = tx.withTables<RegistryTables>()
    const member = await memberships.of(request, tx)
    if (!member.householdKeyId || !mayActInHousehold(member, 'configure', clock.nowMs())) throw denied()

    const device = await tables
      .selectFrom('registry.device')
      .select('device_id')
      .where('claim_code_digest', 'in', claimDigests.digests(request.code))
      .where('disabled', '=', false)
      .forUpdate()
      .executeTakeFirst()
    // One answer for all three: a stranger who tries codes must not learn which exist or are taken.
    if (!device) throw refused()
    const current = await tables
      .selectFrom('registry.tenure')
      .select('tenure_id')
      .where('device_id', '=', device.device_id)
      .where('ended_hour', 'is', null)
      .executeTakeFirst()
    // The unique index tenure_current would refuse as well; here, before a key is made for nothing.
    if (current) throw refused()
    if (!(await isOnline(device.device_id))) throw refused()

    const { count } = await tables
      .selectFrom('registry.tenure')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('household_id', '=', request.householdId)
      .where('ended_hour', 'is', null)
      .executeTakeFirstOrThrow()
    if (count >= MAX_DEVICES) {
      throw new AppError('conflict', { message: `A household has at most ${MAX_DEVICES} devices.` })
    }

    const tenureId = newId<TenureId>()
    const keyId = await keys.create(tx, {
      kind: 'tenure',
      subject: tenureId,
      wrappedBy: member.householdKeyId,
    })
    const key = await keys.open(keyId, tx)
    const row = {
      tenure_id: tenureId,
      device_id: device.device_id,
      household_id: request.householdId,
      key_id: keyId,
      nickname:
        request.nickname === undefined ? null : key.seal(nicknamePlace(tenureId), padName(request.nickname)),
      started_hour: new Date(Math.floor(clock.nowMs() / HOUR_MS) * HOUR_MS),
      ended_hour: null,
    }
    await tables.insertInto('registry.tenure').values(row).execute()
    await householdLog.append(tx, request.householdId, {
      kind: 'claimed',
      by: request.accountId,
      deviceId: device.device_id,
    })
    return toTenure(row)
  }

  return {
    async claim({ accountId, householdId, code, nickname }) {
      const name = nickname && checkName('The nickname of a device', nickname)
      const canonical = canonicalClaimCode(code)
      if (canonical === undefined) {
        if (!mayActInHousehold(await memberships.of({ accountId, householdId }), 'configure', clock.nowMs()))
          throw denied()
        throw refused()
      }
      const tenure = await database
        .transaction((tx) => startTenure(tx, { accountId, householdId, code: canonical, nickname: name }))
        .catch((error: unknown) => {
          throw isViolation(error, 'unique') ? refused() : error
        })
      counts.claims++
      changes.tenure({ deviceId: tenure.deviceId, tenure })
      return tenure
    },

    async devices(accountId, householdId) {
      const member = await memberships.of({ accountId, householdId })
      if (!mayActInHousehold(member, 'view', clock.nowMs())) throw denied()
      const rows = await held(accountId)
        .where('tenure.household_id', '=', householdId)
        .orderBy('tenure.started_hour')
        .orderBy('tenure.tenure_id')
        .execute()
      const visible = await Promise.all(
        rows.map(async (row) => {
          const found = await allowed(row, 'view')
          return found && open(row, found)
        }),
      )
      return visible.filter((device) => device !== undefined)
    },

    async device(accountId, deviceId, act = 'view') {
      const row = await held(accountId).where('tenure.device_id', '=', deviceId).executeTakeFirst()
      const found = row && (await allowed(row, act))
      if (!found) throw denied()
      return open(row, found)
    },

    async renameDevice(accountId, deviceId, nickname) {
      const name = checkName('The nickname of a device', nickname)
      const row = await held(accountId).where('tenure.device_id', '=', deviceId).executeTakeFirst()
      if (!row || !(await allowed(row, 'configure'))) throw denied()
      const key = await keys.open(row.key_id)
      const { numUpdatedRows } = await queries()
        .updateTable('registry.tenure')
        .set({ nickname: key.seal(nicknamePlace(row.tenure_id), padName(name)) })
        .where('tenure_id', '=', row.tenure_id)
        // It may have ended since it was read.
        .where('ended_hour', 'is', null)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) throw denied()
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

    async authorize({ accountId, tenureId, act }) {
      const row = await standings.of(accountId).where('tenure.tenure_id', '=', tenureId).executeTakeFirst()
      if (!row || !(await allowed(row, act))) throw denied()
      return toTenure(row)
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

    stats: () => ({
      registry_claims: counts.claims,
      registry_claims_refused: counts.claimsRefused,
      registry_denied: counts.denied,
    }),
  }
}
