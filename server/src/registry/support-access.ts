import { sql } from 'kysely'
import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  newId,
  type RecordAct,
  type Secret,
  type SupportRequestId,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { type AccessGrants, checkDeviceGrants } from './access-grants.ts'
import type { Changes } from './changes.ts'
import { canonicalClaimCode, newClaimCode } from './claim-code.ts'
import type { HouseholdLog } from './household-log.ts'
import type { Memberships } from './memberships.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import type { People, SupportAccess } from './people-face.ts'
import { mayActInHousehold } from './standing.ts'
import type { RegistryTables } from './tables.ts'

const HOUR_MS = 3_600_000
const CODE_MS = 30 * 60_000
const MAX_OPEN = 5
/** Whatever the household wants to allow: for longer, it gives it again. */
const MAX_HOURS = 72

/**
 * The only way by which an operator sees or moves anything in a home: the household gives it, on stated devices, until a
 * stated time. The operator asks for a code and says it to the household, an owner enters it: neither can do it alone.
 */
export type Support = Pick<
  People,
  | 'requestSupportAccess'
  | 'giveSupportAccess'
  | 'supportAccess'
  | 'supportedDevices'
  | 'endSupportAccess'
  | 'endOperator'
>

export interface SupportOptions {
  database: Database
  keys: Keys
  clock: Clock
  memberships: Memberships
  grants: AccessGrants
  householdLog: HouseholdLog
  changes: Changes
}

const requestPlace = (id: SupportRequestId) => place('registry.support_request.terms', id)

export function createSupport(d: SupportOptions & { recordAct: RecordAct }): Support {
  const digests = d.keys.purpose('registry.support-code')
  const sealing = d.keys.purpose('registry.support-request')
  const now = () => d.clock.nowMs()

  async function refuseTooMany(tx: Tx, operator: AccountId): Promise<void> {
    const tables = tx.withTables<RegistryTables>()
    await sql`select pg_advisory_xact_lock(hashtextextended('registry.support/' || ${operator}, 0))`.execute(
      tx,
    )
    await tables.deleteFrom('registry.support_request').where('expires_hour', '<=', new Date(now())).execute()
    const { count } = await tables
      .selectFrom('registry.support_request')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('operator', '=', operator)
      .executeTakeFirstOrThrow()
    if (count >= MAX_OPEN) throw new AppError('rate_limited', { retryAfterSeconds: CODE_MS / 1000 })
  }

  /** Deleting is what uses the code up. */
  async function use(tx: Tx, code: Secret): Promise<AccountId> {
    const canonical = canonicalClaimCode(code)
    const row =
      canonical !== undefined &&
      (await tx
        .withTables<RegistryTables>()
        .deleteFrom('registry.support_request')
        .where('code_digest', 'in', digests.digests(canonical))
        // It is of no household yet: those of everybody count.
        .where('epoch', '>=', sql<number>`registry.code_epoch(null)`)
        .returning(['request_id', 'operator', 'terms'])
        .executeTakeFirst())
    if (!row) throw new AppError('code_refused')
    const { expiresAtMs } = parseJson<{ expiresAtMs: number }>(
      sealing.unseal(requestPlace(row.request_id), row.terms),
    )
    if (expiresAtMs <= now()) throw new AppError('code_refused')
    return row.operator
  }

  return {
    async requestSupportAccess(operator) {
      const code = newClaimCode()
      const requestId = newId<SupportRequestId>()
      const expiresAtMs = now() + CODE_MS
      await d.database.transaction(async (tx) => {
        await refuseTooMany(tx, operator)
        await tx
          .withTables<RegistryTables>()
          .insertInto('registry.support_request')
          .values({
            request_id: requestId,
            operator,
            code_digest: digests.digest(canonicalClaimCode(code) as string),
            terms: sealing.seal(requestPlace(requestId), paddedJson({ expiresAtMs }, 64)),
            expires_hour: new Date(Math.ceil(expiresAtMs / HOUR_MS) * HOUR_MS),
          })
          .execute()
        const subject = { kind: 'support_request', id: requestId }
        await d.recordAct(tx, { actor: operator, act: 'support.requested', subject })
      })
      return { code, expiresAtMs }
    },

    async giveSupportAccess({ accountId, householdId, code, devices, acts, hours }) {
      if (!Number.isInteger(hours) || hours < 1 || hours > MAX_HOURS) {
        throw new AppError('invalid_request', { message: `Support has access for 1 to ${MAX_HOURS} hours.` })
      }
      const granted = checkDeviceGrants(devices.map((deviceId) => ({ deviceId, acts })))
      const untilMs = now() + hours * HOUR_MS
      const operator = await d.database.transaction(async (tx) => {
        const member = await d.memberships.of({ accountId, householdId }, tx)
        if (!mayActInHousehold(member, 'manage', now())) throw new AppError('not_found')
        const asking = await use(tx, code)
        await d.grants.give(tx, {
          householdId,
          accountId: asking,
          grantee: 'operator',
          devices: granted,
          untilMs,
        })
        await d.householdLog.append(tx, householdId, {
          kind: 'support_given',
          by: accountId,
          account: asking,
          devices,
          acts: granted[0]?.acts ?? [],
          untilMs,
        })
        return asking
      })
      d.changes.access({ householdId })
      return { operator, devices: granted, untilMs }
    },

    async supportAccess(accountId, householdId) {
      const member = await d.memberships.of({ accountId, householdId })
      if (!mayActInHousehold(member, 'history', now())) throw new AppError('not_found')
      const byOperator = new Map<AccountId, SupportAccess>()
      for (const { accountId: operator, untilMs = 0, deviceId, acts } of await d.grants.list(
        householdId,
        'operator',
      )) {
        if (untilMs <= now()) continue
        const access = byOperator.get(operator) ?? { operator, devices: [], untilMs }
        access.devices.push({ deviceId, acts })
        byOperator.set(operator, access)
      }
      return [...byOperator.values()]
    },

    async supportedDevices(operator) {
      const grants = await d.grants.of(operator, 'operator')
      return grants
        .map(({ deviceId, acts, untilMs = 0 }) => ({ deviceId, acts, untilMs }))
        .filter(({ untilMs }) => untilMs > now())
    },

    async endSupportAccess({ accountId, householdId, operator }) {
      await d.database.transaction(async (tx) => {
        const member = await d.memberships.of({ accountId, householdId }, tx)
        // Who may let a guest in may also send support out.
        if (!mayActInHousehold(member, 'configure', now())) throw new AppError('not_found')
        const other = await d.memberships.of({ accountId: operator, householdId }, tx)
        if (other.role || (await d.grants.end(tx, householdId, operator)) === 0)
          throw new AppError('not_found')
        await d.householdLog.append(tx, householdId, {
          kind: 'support_ended',
          by: accountId,
          account: operator,
        })
      })
      d.changes.access({ householdId })
    },

    async endOperator(tx, operator) {
      const tables = tx.withTables<RegistryTables>()
      await tables.deleteFrom('registry.support_request').where('operator', '=', operator).execute()
      await tables
        .deleteFrom('registry.access_grant')
        .where('account_id', '=', operator)
        .where('grantee', '=', 'operator')
        .execute()
    },
  }
}
