import { AppError, type Database, type TenureId } from '../core/index.ts'
import type { Keys, SealingKey } from '../keys/index.ts'
import type { HeldDevice } from '../registry/index.ts'
import { openRecord, slotOf } from '../stream/index.ts'
import { shown } from './content.ts'
import type { DeviceView } from './face.ts'
import { type HomeTables, kindOf, type StateRow } from './tables.ts'

const AVAILABILITY_PATH = '$availability'

/** The devices as they are now. @throws AppError integrity_failed when a row does not open where it stands */
export async function readLiveState(
  { database, keys }: { database: Database; keys: Pick<Keys, 'open'> },
  held: readonly HeldDevice[],
): Promise<DeviceView[]> {
  if (held.length === 0) return []
  const rows = await database.queries
    .withTables<HomeTables>()
    .selectFrom('home.state')
    .selectAll()
    .where(
      'tenure_id',
      'in',
      held.map((device) => device.tenureId),
    )
    .orderBy('seq')
    .execute()
  const byTenure = new Map<TenureId, StateRow[]>()
  for (const row of rows) {
    const list = byTenure.get(row.tenure_id)
    if (list) list.push(row)
    else byTenure.set(row.tenure_id, [row])
  }
  return Promise.all(
    held.map(async (device) => {
      const own = byTenure.get(device.tenureId)
      return viewDevice(device, own ? openState(await keys.open(device.keyId), device, own) : undefined)
    }),
  )
}

interface OpenState {
  online: boolean
  lastSeenMs: number
  attributes: DeviceView['attributes']
}

/** `rows` in the order of the stream, so that the last record that names a path wins. */
function openState(key: SealingKey, device: HeldDevice, rows: readonly StateRow[]): OpenState {
  const state: OpenState = { online: false, lastSeenMs: 0, attributes: {} }
  const opened = new Map<string, { atMs: number; content: Record<string, unknown>; slots: Set<string> }>()
  for (const row of rows) {
    const kind = kindOf(row.kind) as 'attributes' | 'availability'
    let record = opened.get(row.record_id)
    if (!record) {
      const { receivedAtMs, payload } = openRecord(key, {
        recordId: row.record_id,
        tenureId: row.tenure_id,
        deviceId: device.deviceId,
        kind,
        sealed: row.sealed,
      })
      const values = shown(device.model, kind, payload)
      const content = kind === 'availability' ? { [AVAILABILITY_PATH]: values.online } : values
      const slots = new Set(Object.keys(content).map((path) => slotOf(key, path).toString('latin1')))
      record = { atMs: receivedAtMs, content, slots }
      opened.set(row.record_id, record)
      state.lastSeenMs = Math.max(state.lastSeenMs, receivedAtMs)
      for (const [path, value] of Object.entries(content)) {
        if (path === AVAILABILITY_PATH) state.online = value === true
        else state.attributes[path] = { value, atMs: receivedAtMs }
      }
    }
    // The record is this tenure's own, but it must also be one that speaks of what the row stands for.
    if (!record.slots.has(row.slot.toString('latin1'))) {
      throw new AppError('integrity_failed', { detail: 'a state row holds a record of another slot' })
    }
  }
  return state
}

function viewDevice(device: HeldDevice, state: OpenState | undefined): DeviceView {
  const { name, title, deviceType } = device.model
  return {
    deviceId: device.deviceId,
    householdId: device.householdId,
    model: { name, title, deviceType },
    nickname: device.nickname,
    online: state?.online ?? false,
    ...(state && { lastSeenMs: state.lastSeenMs }),
    attributes: state?.attributes ?? {},
  }
}
