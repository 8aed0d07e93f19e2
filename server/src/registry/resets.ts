import { sql } from 'kysely'
import {
  type AccountId,
  AppError,
  type Bus,
  type Clock,
  type Database,
  type DeviceId,
  type HouseholdId,
  type Queries,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import type { DecoyIds } from './decoy-devices.ts'
import type { DeviceReach, DeviceResets, HeardDeviceReset } from './reset-face.ts'

const DAY_MS = 86_400_000
/** No reset has it. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

export interface Resets extends DeviceResets {
  start(): Promise<void>
  close(): void
}

/** Resets of devices and of households' codes: one row that makes all that was proved or issued before void. */
export function createResets(o: {
  database: Database
  clock: Clock
  bus?: Pick<Bus, 'subscribe' | 'onGap'> | undefined
  decoys?: DecoyIds | undefined
}): Resets {
  const { database, clock } = o
  const queries = database.queries
  const listeners = new Set<(reset: HeardDeviceReset) => void | Promise<void>>()
  let stopListening: (() => void)[] = []
  /** The newest that the listeners were told of. */
  let told = 0
  let telling: Promise<void> = Promise.resolve()

  /** Tells of all that are newer than what was told before, in their order; a hint that came twice tells of none. */
  function look(): Promise<void> {
    telling = telling.catch(() => {}).then(tellNew)
    return telling
  }

  async function tellNew(): Promise<void> {
    const { rows } = await sql<{ epoch: number; reset_id: string; devices: boolean; listed: boolean }>`
      select epoch, reset_id, devices, listed from registry.reset where epoch > ${told} order by epoch`.execute(
      queries,
    )
    for (const { epoch, reset_id, devices, listed } of rows) {
      if (devices) {
        const reached = (deviceIds: readonly DeviceId[]) =>
          reachedOf(deviceIds, listed ? reset_id : undefined)
        const told = await Promise.allSettled([...listeners].map(async (each) => each({ epoch, reached })))
        const failed = told.find((outcome) => outcome.status === 'rejected')
        // It is told of again: a process that has not taken effect of it must not count as one that knows.
        if (failed) throw failed.reason
      }
      told = epoch
    }
  }

  async function reachedOf(deviceIds: readonly DeviceId[], listed: string | undefined) {
    if (listed === undefined) return new Set(deviceIds)
    const { rows } = await sql<{ device_id: DeviceId }>`
      select t.device_id from registry.tenure t
      join registry.reset_household l on l.household_id = t.household_id and l.reset_id = ${listed}
      where t.device_id = any(${deviceIds}::uuid[]) and t.ended_hour is null`.execute(queries)
    return new Set(rows.map((row) => row.device_id))
  }

  /** Devices that nobody makes count nowhere. */
  async function planted(within: Queries | Tx = queries): Promise<DeviceId[]> {
    if (!o.decoys) return []
    const { rows } = await sql<{
      first: Date | null
    }>`select min(made_on) as first from registry.device`.execute(within)
    // A day as the database takes it may have begun before ours.
    const first = rows[0]?.first
    return first ? o.decoys.since(first.getTime() - DAY_MS) : []
  }

  return {
    async start() {
      const { rows } = await sql<{ epoch: number }>`select registry.epoch() as epoch`.execute(queries)
      told = rows[0]?.epoch ?? 0
      stopListening = [
        o.bus?.subscribe('registry.reset', look) ?? (() => {}),
        o.bus?.onGap(look) ?? (() => {}),
      ]
    },
    close() {
      for (const stop of stopListening) stop()
    },

    async count({ devices, codes, listed, resetId = NOBODY }, tx) {
      const counts = { devices: 0, replacingKeys: 0, keepingPasswords: 0, invitations: 0, transfers: 0 }
      if (devices) {
        const { rows } = await sql<{ devices: number; replacing: number; keeping: number }>`
          select count(*) as devices, count(*) filter (where rotates) as replacing,
            count(*) filter (where not rotates and password_digest is not null) as keeping
          from registry.device d
          join (select model_id, coalesce(definition ->> 'credentialRotation', '') = 'true' as rotates
            from registry.model) m using (model_id)
          where not disabled and d.device_id <> all(${await planted(tx)}::uuid[]) and ${
            listed
              ? sql`exists (select from registry.tenure t join registry.reset_household l using (household_id)
                  where t.device_id = d.device_id and t.ended_hour is null and l.reset_id = ${resetId})`
              : sql`true`
          }`.execute(tx ?? queries)
        counts.devices = rows[0]?.devices ?? 0
        counts.replacingKeys = rows[0]?.replacing ?? 0
        counts.keepingPasswords = rows[0]?.keeping ?? 0
      }
      if (codes) {
        const { rows } = await sql<{ invitations: number; transfers: number }>`select
          (select count(*) from registry.invitation i where expires_hour > ${new Date(clock.nowMs())}
            and epoch >= registry.code_epoch(household_id) and ${ofListed(listed, resetId, 'household_id')})
            as invitations,
          (select count(*) from registry.transfer_offer o join registry.tenure t using (tenure_id)
            where o.epoch >= registry.code_epoch(t.household_id) and ${ofListed(listed, resetId, 't.household_id')})
            as transfers`.execute(tx ?? queries)
        counts.invitations = rows[0]?.invitations ?? 0
        counts.transfers = rows[0]?.transfers ?? 0
      }
      return counts
    },

    async stage(tx, resetId, householdIds) {
      if (householdIds.length === 0) return
      await sql`insert into registry.reset_household (reset_id, household_id)
        select ${resetId}, household_id from unnest(${householdIds}::uuid[]) as staged (household_id)
        on conflict do nothing`.execute(tx)
    },

    async void(tx, { resetId, devices, codes, listed }: DeviceReach & { resetId: string }) {
      // One after the other: an epoch is never used twice, and a later one is never seen before an earlier one.
      await sql`lock table registry.reset in share row exclusive mode`.execute(tx)
      await sql`insert into registry.reset (epoch, reset_id, devices, codes, listed, tokens_from)
        values (registry.epoch() + 1, ${resetId}, ${devices}, ${codes}, ${listed}, ${new Date(clock.nowMs())})`.execute(
        tx,
      )
    },

    async householdsOf(tenureIds) {
      const { rows } = await sql<{ household_id: HouseholdId }>`
        select distinct household_id from registry.tenure where tenure_id = any(${tenureIds as TenureId[]}::uuid[])`.execute(
        queries,
      )
      return rows.map((row) => row.household_id)
    },

    async peopleOf(tx, householdIds) {
      const known = await sql<{ household_id: HouseholdId }>`select household_id from registry.household
        where household_id = any(${householdIds}::uuid[])`.execute(tx)
      if (known.rows.length !== new Set(householdIds).size) throw new AppError('not_found')
      const { rows } = await sql<{ account_id: AccountId }>`
        select account_id from registry.member where household_id = any(${householdIds}::uuid[])
        union
        select g.account_id from registry.access_grant g join registry.tenure t using (tenure_id)
          where t.household_id = any(${householdIds}::uuid[])`.execute(tx)
      return rows.map((row) => row.account_id)
    },

    async keepingPasswords({ after = NOBODY, limit }) {
      const { rows } = await sql<{ device_id: DeviceId }>`select device_id from registry.device d
        join registry.model m using (model_id)
        where password_digest is not null and not disabled and device_id > ${after}
          and device_id <> all(${await planted()}::uuid[])
          and coalesce(definition ->> 'credentialRotation', '') <> 'true'
        order by device_id limit ${limit}`.execute(queries)
      return rows.map((row) => row.device_id)
    },

    catchUp: look,

    onReset(listener) {
      const own = (reset: HeardDeviceReset) => listener(reset)
      listeners.add(own)
      return () => listeners.delete(own)
    },
  }
}

function ofListed(listed: boolean, resetId: string, household: string) {
  if (!listed) return sql`true`
  return sql`exists (select from registry.reset_household l
    where l.household_id = ${sql.ref(household)} and l.reset_id = ${resetId})`
}
