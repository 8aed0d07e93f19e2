import { setImmediate as nextTurn } from 'node:timers/promises'
import { type DeviceId, isAppError, type Secret, type TenureId } from '../core/index.ts'
import type { SealingKey } from '../keys/index.ts'
import type { Model, Tenure } from '../registry/index.ts'
import { openRecord, type StreamRecord } from '../stream/index.ts'
import type { Catalogue } from './catalogue.ts'
import type { Grain } from './face.ts'
import type { Entries } from './ledger.ts'
import { aggregate, coarse, DAY_MS, type Observation, roundDown } from './observation.ts'
import { pseudonymOf } from './pseudonyms.ts'
import type { TenureState } from './tenure-state.ts'

/** What the gateway counted, of nobody in particular. */
export interface ConnectionCount {
  seq: number
  hourMs: number
  model: string
  firmware: string
  outcome: string
  count: number
}

export interface Batch {
  rows: Observation[]
  entries: Entries
  /** Of the tenures whose state has changed. */
  states: Map<TenureId, TenureState>
  /** Rows that did not leave because they look like a person's. */
  withheld: number
}

export interface DeriveOptions {
  fields: ReadonlySet<string>
  grain: Grain
  catalogue: Catalogue
  /** The copy's own. */
  key: SealingKey
  recognition: Secret | undefined
  looksPersonal: (text: string) => boolean
  tenure: (id: TenureId) => { tenure: Tenure; model: Model } | undefined
  /** @throws AppError not_found when what the tenure held was erased */
  open: (tenure: Tenure) => Promise<SealingKey>
  state: (id: TenureId) => TenureState | undefined
  /** What a device told before this tenure had a word of it. */
  firmware: (id: DeviceId) => string | undefined
}

type Fact = Pick<Observation, 'field' | 'number' | 'label'> & { atMs: number; grain?: Grain }

/** Rows of a copy out of sealed records: only what the copy names, and nothing that the catalogue holds back. */
export async function derive(
  records: readonly StreamRecord[],
  counts: readonly ConnectionCount[],
  o: DeriveOptions,
): Promise<Batch> {
  const rows: Observation[] = []
  const entries: Entries = new Map()
  const states = new Map<TenureId, TenureState>()
  let withheld = 0

  const names = (field: string) => o.fields.has(field) && o.catalogue.get(field)?.copyable === true
  const shown = (field: string, value: string) => (names(field) && value !== '' ? value : undefined)
  const personal = (text: string | undefined) => text !== undefined && o.looksPersonal(text)

  function put(observation: Observation): boolean {
    const { model, firmware, label } = observation
    if (personal(model) || personal(firmware) || personal(label)) {
      withheld += observation.count
      return false
    }
    rows.push(observation)
    return true
  }

  for (const [at, record] of records.entries()) {
    // Devices wait for the same thread.
    if (at % 200 === 199) await nextTurn()
    const known = o.tenure(record.tenureId)
    if (!known) continue
    const { tenure, model } = known
    const opened = await openOrErased(record, () => o.open(tenure))
    if (!opened) continue
    const before = states.get(tenure.tenureId) ?? o.state(tenure.tenureId)
    const state: TenureState = { ...before }
    const facts = factsOf(record, opened, { model, tenure, state, isFirst: before === undefined })
    states.set(tenure.tenureId, state)
    const dimensions = {
      device: shown('device.pseudonym', pseudonymOf(o.key, tenure.tenureId, o.recognition)),
      model: shown('device.model', model.name),
      firmware: shown(
        'device.firmware',
        state.firmware ?? o.firmware(tenure.deviceId) ?? model.firmware ?? '',
      ),
    }
    for (const { atMs, grain = o.grain, field, number, label } of facts) {
      if (!names(field)) continue
      const left = put({
        ...dimensions,
        atMs: roundDown(atMs, coarser(grain, o.grain)),
        field,
        number: number === undefined ? undefined : coarse(number),
        label,
        count: 1,
      })
      if (left) enter(entries, tenure.tenureId, field, dimensions)
    }
  }

  if (names('connection.outcome')) {
    for (const { hourMs, model, firmware, outcome, count } of counts) {
      put({
        atMs: roundDown(hourMs, o.grain),
        device: undefined,
        model: shown('device.model', model),
        firmware: shown('device.firmware', firmware),
        field: 'connection.outcome',
        number: undefined,
        label: outcome,
        count,
      })
    }
  }
  return { rows: aggregate(rows), entries, states, withheld }

  function factsOf(
    record: StreamRecord,
    { receivedAtMs, payload }: { receivedAtMs: number; payload: Buffer },
    of: { model: Model; tenure: Tenure; state: TenureState; isFirst: boolean },
  ): Fact[] {
    const { model, tenure, state, isFirst } = of
    const content = parse(payload)
    const facts: Fact[] = []
    const atMs = receivedAtMs
    const add = (field: string, value: unknown) => {
      const fact = measured(field, value, o.catalogue)
      if (fact) facts.push({ atMs, field, ...fact })
    }
    if (record.kind === 'attributes') {
      for (const [path, value] of Object.entries(model.normaliseAttributes(content))) {
        const field = path.slice(path.indexOf('/') + 1)
        // From here on, this record's own rows included.
        if (field === 'BasicInformation.SoftwareVersion' && typeof value === 'number')
          state.firmware = String(value)
        add(field, value)
      }
    } else if (record.kind === 'events') {
      for (const [path, value] of Object.entries(model.normaliseEvents(content))) {
        const event = path.slice(path.indexOf('/') + 1)
        for (const [name, each] of Object.entries(isObject(value) ? value : {})) add(`${event}.${name}`, each)
      }
    } else if (record.kind === 'results') {
      const { status } = content
      if (typeof status === 'string' && /^[A-Z][A-Z0-9_]{0,63}$/.test(status))
        facts.push({ atMs, field: 'command.status', number: undefined, label: status })
    } else {
      const online = content.online === true
      // The stream says it once more after a move from node to node that went wrong.
      if (online !== (state.online ?? false))
        facts.push({ atMs, field: 'device.online', number: online ? 1 : -1, label: undefined })
      state.online = online
    }
    if (isFirst)
      facts.push({ atMs: tenure.startedHourMs, field: 'device.activated', number: 1, label: undefined })
    const dayMs = roundDown(receivedAtMs, 'day')
    // To the day, whatever the copy's grain: the hour in which a lock was heard of may be when somebody came home.
    if ((state.activeDayMs ?? Number.NEGATIVE_INFINITY) <= dayMs - DAY_MS) {
      facts.push({ atMs: dayMs, grain: 'day', field: 'device.active', number: 1, label: undefined })
      state.activeDayMs = dayMs
    }
    return facts
  }
}

async function openOrErased(record: StreamRecord, open: () => Promise<SealingKey>) {
  try {
    return openRecord(await open(), record)
  } catch (error) {
    if (isAppError(error, 'not_found')) return undefined
    throw error
  }
}

function enter(
  entries: Entries,
  tenureId: TenureId,
  field: string,
  dimensions: { device?: string | undefined; model?: string | undefined; firmware?: string | undefined },
): void {
  const fields = entries.get(tenureId) ?? new Set<string>()
  entries.set(tenureId, fields.add(field))
  if (dimensions.device !== undefined) fields.add('device.pseudonym')
  if (dimensions.model !== undefined) fields.add('device.model')
  if (dimensions.firmware !== undefined) fields.add('device.firmware')
}

/** A number or one of Matter's own words; undefined for anything else. */
function measured(
  field: string,
  value: unknown,
  catalogue: Catalogue,
): Pick<Observation, 'number' | 'label'> | undefined {
  const entry = catalogue.get(field)
  if (!entry?.copyable) return undefined
  if (entry.names) {
    // A word that Matter does not have cannot come this far; should it, it does not leave.
    const known = typeof value === 'string' && [...entry.names.values()].includes(value)
    return known ? { number: undefined, label: value } : undefined
  }
  if (typeof value === 'boolean') return { number: value ? 1 : 0, label: undefined }
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? { number, label: undefined } : undefined
}

function coarser(a: Grain, b: Grain): Grain {
  return a === 'day' || b === 'day' ? 'day' : 'hour'
}

function parse(payload: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'))
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
