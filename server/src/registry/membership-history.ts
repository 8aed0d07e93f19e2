import { sql } from 'kysely'
import {
  type AccountId,
  type Database,
  type DeviceId,
  type HouseholdId,
  newId,
  type TenureId,
  type Tx,
} from '../core/index.ts'

/** Of a tenure, between two moments. */
export interface TenureSpan {
  tenureId: TenureId
  fromMs: number
  toMs: number
}

export interface Present {
  tenureId: TenureId
  deviceId: DeviceId
  householdId: HouseholdId
  /** Owners and adults of the household, and guests of the device. In the order of their ids; those who are erased under another id. */
  accountIds: AccountId[]
}

/** Who was there, also long ago. Ids only: whose they are is the vault's. */
export interface MembershipHistory {
  /**
   * Whom a device was around, in these spans of its tenures: all that overlap, to the hour (an hour that reaches into
   * the span counts), within the tenure. Unknown tenures are left out; so are those that the span misses.
   */
  present(spans: readonly TenureSpan[]): Promise<Present[]>
}

/** What is asked in one statement. */
const STEP = 5_000

export function createMembershipHistory({ database }: { database: Database }): MembershipHistory {
  async function step(spans: readonly TenureSpan[]): Promise<Present[]> {
    const { rows } = await sql<{
      tenure_id: TenureId
      device_id: DeviceId
      household_id: HouseholdId
      accounts: AccountId[]
    }>`
      select t.tenure_id, t.device_id, t.household_id,
        coalesce(array_agg(distinct p.account_id order by p.account_id) filter (where p.account_id is not null),
          '{}')::text[] as accounts
      from unnest(${spans.map((span) => span.tenureId)}::uuid[], ${spans.map((span) => new Date(span.fromMs))}::timestamptz[],
        ${spans.map((span) => new Date(span.toMs))}::timestamptz[]) s (tenure_id, from_at, to_at)
      join registry.tenure t on t.tenure_id = s.tenure_id
        and t.started_hour <= s.to_at and coalesce(t.ended_hour + interval '1 hour' > s.from_at, true)
      left join registry.membership_history p on p.household_id = t.household_id
        and (p.tenure_id is null or p.tenure_id = t.tenure_id)
        and p.from_hour <= least(s.to_at, t.ended_hour)
        and coalesce(p.to_hour + interval '1 hour' > greatest(s.from_at, t.started_hour), true)
      group by t.tenure_id order by t.tenure_id`.execute(database.queries)
    return rows.map((row) => ({
      tenureId: row.tenure_id,
      deviceId: row.device_id,
      householdId: row.household_id,
      accountIds: row.accounts,
    }))
  }

  return {
    async present(spans) {
      const found: Present[] = []
      for (let at = 0; at < spans.length; at += STEP) found.push(...(await step(spans.slice(at, at + STEP))))
      return found
    },
  }
}

/** Of an erased account: that somebody was there counts on, under an id that is nobody's. */
export async function forgetInHistory(tx: Tx, accountId: AccountId): Promise<void> {
  await sql`update registry.membership_history set account_id = ${newId()} where account_id = ${accountId}`.execute(
    tx,
  )
}
