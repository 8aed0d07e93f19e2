import { sql } from 'kysely'
import type { Database, DeviceId, TenureId } from '../core/index.ts'
import type { DecoyIds } from './decoy-devices.ts'
import type { Registry } from './face.ts'
import type { Models } from './models.ts'
import type { RegistryTables } from './tables.ts'
import { TENURE_COLUMNS, toTenure } from './tenure-row.ts'

/** Authorizes nobody: for rooms that act for the installation, not for a person. */
export function createTenureLookup({
  database,
  models,
  decoys,
}: {
  database: Database
  models: Models
  decoys?: DecoyIds | undefined
}): Pick<Registry, 'tenures' | 'deviceModels'> {
  const queries = database.queries.withTables<RegistryTables>()

  return {
    async tenures(ids) {
      if (ids.length === 0) return []
      const rows = await queries
        .selectFrom('registry.tenure as tenure')
        .innerJoin('registry.device as device', 'device.device_id', 'tenure.device_id')
        .select([...TENURE_COLUMNS, 'device.model_id'])
        .where('tenure.tenure_id', '=', sql<TenureId>`any(${[...ids]}::uuid[])`)
        .execute()
      return Promise.all(
        rows.map(async (row) => ({ tenure: toTenure(row), model: await models.get(row.model_id) })),
      )
    },

    async deviceModels(deviceIds) {
      if (deviceIds.length === 0) return new Map()
      const rows = await queries
        .selectFrom('registry.device')
        .select(['device_id', 'model_id'])
        .where('device_id', '=', sql<DeviceId>`any(${[...deviceIds]}::uuid[])`)
        .execute()
      // Who names a device that nobody makes names none, in a metric, too.
      const real = rows.filter((row) => !decoys?.isOne(row.device_id))
      return new Map(
        await Promise.all(real.map(async (row) => [row.device_id, await models.get(row.model_id)] as const)),
      )
    },
  }
}
