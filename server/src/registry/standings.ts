import { sql } from 'kysely'
import type {
  AccountId,
  Clock,
  Database,
  DeviceId,
  GrantId,
  HouseholdId,
  KeyId,
  ModelId,
  Queries,
  TenureId,
  Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { ClaimPolicy, MemberRole } from './face.ts'
import type { GuestSchedule } from './guest-schedule.ts'
import { schedulePlace } from './memberships.ts'
import { parseJson } from './padded-json.ts'
import type { AccessGrant, Standing } from './standing.ts'
import type { RegistryTables } from './tables.ts'
import { TENURE_COLUMNS } from './tenure-row.ts'

/** Where a grant's acts and end stand, sealed under the tenure's key. */
export const grantPlace = (grantId: GrantId) => place('registry.access_grant.terms', grantId)

/** Reads what an account has to do with tenures, for `mayAct` to decide upon. */
export interface Standings {
  /** Tenures, present and past, with which the account has anything to do. Narrow it down by household, device or id. */
  of(accountId: AccountId, tx?: Tx): ReturnType<typeof standingQuery>
  /** `tx`: within it nothing waits for another connection. */
  open(row: StandingRow, tx?: Tx): Promise<Standing>
}

function standingQuery(queries: Queries | Tx, accountId: AccountId, nowMs: number) {
  return (queries as Queries)
    .withTables<RegistryTables>()
    .selectFrom('registry.tenure as tenure')
    .innerJoin('registry.device as device', 'device.device_id', 'tenure.device_id')
    .innerJoin('registry.model as model', 'model.model_id', 'device.model_id')
    .innerJoin('registry.household as household', 'household.household_id', 'tenure.household_id')
    .leftJoin('registry.member as member', (join) =>
      join.onRef('member.household_id', '=', 'tenure.household_id').on('member.account_id', '=', accountId),
    )
    .leftJoin('registry.access_grant as access', (join) =>
      join.onRef('access.tenure_id', '=', 'tenure.tenure_id').on('access.account_id', '=', accountId),
    )
    .leftJoin('registry.hold as hold', (join) =>
      join.on('hold.account_id', '=', accountId).on('hold.until_hour', '>', new Date(nowMs)),
    )
    .select([...TENURE_COLUMNS, 'tenure.nickname', 'tenure.ended_hour', 'tenure.history', 'tenure.ending'])
    .select(['device.model_id', sql<ClaimPolicy>`model.definition ->> 'claimPolicy'`.as('claim_policy')])
    .select(['member.role', 'member.terms as schedule', 'household.key_id as household_key_id'])
    .select(['access.grant_id', 'access.grantee', 'access.terms as grant_terms'])
    .select(sql<AccountId>`${accountId}`.as('account_id'))
    .select((eb) => eb('hold.account_id', 'is not', null).as('held_back'))
    .where((eb) => eb.or([eb('member.account_id', 'is not', null), eb('access.grant_id', 'is not', null)]))
}

/** One row of `Standings.of`, and its tenure. */
export interface StandingRow {
  tenure_id: TenureId
  device_id: DeviceId
  household_id: HouseholdId
  key_id: KeyId
  household_key_id: KeyId
  account_id: AccountId
  ended_hour: Date | null
  history: 'kept' | 'destroyed'
  model_id: ModelId
  claim_policy: ClaimPolicy
  role: MemberRole | null
  schedule: Buffer | null
  grant_id: GrantId | null
  grantee: AccessGrant['grantee'] | null
  grant_terms: Buffer | null
  held_back: unknown
}

export function createStandings(d: { database: Database; keys: Keys; clock: Clock }): Standings {
  async function scheduleOf(row: StandingRow, tx?: Tx): Promise<GuestSchedule | undefined> {
    if (!row.schedule) return undefined
    const key = await d.keys.open(row.household_key_id, tx)
    return parseJson(key.unseal(schedulePlace(row.household_id, row.account_id), row.schedule))
  }

  async function grantOf(row: StandingRow, tx?: Tx): Promise<AccessGrant | undefined> {
    if (!row.grant_id || !row.grantee || !row.grant_terms || row.ended_hour) return undefined
    const key = await d.keys.open(row.key_id, tx)
    const terms: Omit<AccessGrant, 'grantee'> = parseJson(
      key.unseal(grantPlace(row.grant_id), row.grant_terms),
    )
    return { grantee: row.grantee, ...terms }
  }

  return {
    of: (accountId, tx) => standingQuery(tx ?? d.database.queries, accountId, d.clock.nowMs()),
    async open(row, tx) {
      return {
        role: row.role ?? undefined,
        schedule: await scheduleOf(row, tx),
        grant: await grantOf(row, tx),
        heldBack: row.held_back === true,
        guarding: row.claim_policy === 'release-required',
        tenure: row.ended_hour ? row.history : 'current',
      }
    },
  }
}
