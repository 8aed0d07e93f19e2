import { type Bus, type Database, type DeviceId, type HouseholdId, isId } from '../core/index.ts'
import type { Changes } from './changes.ts'
import type { Tenure } from './face.ts'
import type { RegistryTables } from './tables.ts'
import { TENURE_COLUMNS, toTenure } from './tenure-row.ts'

/** How many devices are looked at in one query. */
const AT_ONCE = 500

export interface Hints {
  start(): void
  close(): void
  /** Reads which tenure holds now, and tells the listeners. */
  look(deviceId: DeviceId): Promise<void>
}

/**
 * What other processes committed, as triggers of the database tell it (migrations, `hints`): no way of ending a tenure
 * or an access can forget to. A hint names a device or a household; what holds now is read here, so that a forged one
 * gains nothing and a late one does no harm.
 */
export function createHints(d: {
  database: Database
  bus: Pick<Bus, 'subscribe' | 'onGap'>
  changes: Changes
}): Hints {
  const { bus, changes } = d
  const pending = new Set<DeviceId>()
  let running: Promise<void> | undefined
  let stopListening: (() => void)[] = []

  /** One reading after the other: an older answer never comes after a newer one. */
  async function lookAtPending(): Promise<void> {
    while (pending.size > 0) {
      const batch = [...pending].slice(0, AT_ONCE)
      for (const deviceId of batch) pending.delete(deviceId)
      const tenures = await currentTenures(d.database, batch)
      for (const deviceId of batch) {
        // Asked for again meanwhile: the next reading tells.
        if (!pending.has(deviceId)) changes.tenure({ deviceId, tenure: tenures.get(deviceId) })
      }
    }
  }

  function look(deviceId: DeviceId): Promise<void> {
    pending.add(deviceId)
    running ??= lookAtPending().finally(() => {
      running = undefined
    })
    return running
  }

  return {
    look,
    start() {
      stopListening = [
        bus.subscribe('registry.tenure', async ({ payload }) => {
          if (isId(payload)) await look(payload as DeviceId)
        }),
        bus.subscribe('registry.access', ({ payload }) => {
          if (isId(payload)) changes.access({ householdId: payload as HouseholdId })
        }),
        bus.onGap(async () => {
          await Promise.all(changes.concerned().map(look))
        }),
      ]
    },
    close() {
      for (const stop of stopListening) stop()
    },
  }
}

async function currentTenures(database: Database, deviceIds: DeviceId[]): Promise<Map<DeviceId, Tenure>> {
  const rows = await database.queries
    .withTables<RegistryTables>()
    .selectFrom('registry.tenure as tenure')
    .select(TENURE_COLUMNS)
    .where('tenure.device_id', 'in', deviceIds)
    .where('tenure.ended_hour', 'is', null)
    .execute()
  return new Map(rows.map((row) => [row.device_id, toTenure(row)]))
}
