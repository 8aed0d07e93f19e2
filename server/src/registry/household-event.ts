import {
  type AccountId,
  type DeviceId,
  type HouseholdId,
  type Personal,
  recordFields,
  type Secret,
  type Tx,
} from '../core/index.ts'
import type { Act, MemberRole } from './acts.ts'
import type { History } from './history.ts'

/** Whom and what an event is about. `by` acted; it is absent where the server, or a device, did. */
interface Concerned {
  by?: AccountId | undefined
  account?: AccountId | undefined
  deviceId?: DeviceId | undefined
}

type Kind =
  | { kind: 'founded' | 'left' | 'guest_changed' | 'invitation_revoked' | 'account_erased' }
  | { kind: 'invited' | 'joined' | 'removed'; role: MemberRole }
  | { kind: 'role_changed'; from: MemberRole; to: MemberRole }
  | { kind: 'handed_over'; remains: MemberRole }
  | { kind: 'support_given'; devices: DeviceId[]; acts: Act[]; untilMs: number }
  | { kind: 'support_used'; act: Act }
  | { kind: 'support_ended' }
  | { kind: 'claimed' | 'received' | 'transfer_cancelled' | 'history_destroyed' }
  | { kind: 'released' | 'transferred_away'; history: History }
  | { kind: 'transfer_offered'; untilMs: number; history: History }
  | { kind: 'dispute_opened'; dueAtMs: number }
  | { kind: 'dispute_objected' | 'dispute_withdrawn' | 'dispute_rejected' | 'dispute_completed' }
  /** By hand, on the device. Of a model that must be released the tenure holds on. */
  | { kind: 'device_reset'; tenureEnded: boolean }

/** One thing that happened in a household: an entry of its log. Ids only; names are looked up when it is read. */
export type HouseholdEvent = Concerned & Kind

export const householdEventFields = recordFields<HouseholdEvent>('HouseholdEvent', {
  by: 'identifying',
  account: 'identifying',
  deviceId: 'identifying',
  kind: 'personal',
  role: 'personal',
  from: 'personal',
  to: 'personal',
  remains: 'personal',
  devices: 'identifying',
  acts: 'personal',
  act: 'personal',
  untilMs: 'sensitive',
  dueAtMs: 'sensitive',
  history: 'personal',
  tenureEnded: 'personal',
})

export interface LogEntry {
  /** Grows by one with each entry of the household. */
  seq: number
  atMs: number
  event: HouseholdEvent
}

export interface LogPage {
  /** Newest first. */
  entries: LogEntry[]
  /** Pass as `before` for the next, older page; absent on the last one. */
  next?: number | undefined
}

/**
 * What matters most: who rules the home, what goes out of its reach, what cannot be undone. Its owners, and whom it is about,
 * are told of it by letter as well. Everything else stands in the log alone.
 */
const TOLD: ReadonlySet<HouseholdEvent['kind']> = new Set<HouseholdEvent['kind']>([
  'joined',
  'removed',
  'role_changed',
  'handed_over',
  'support_given',
  'released',
  'transfer_offered',
  'transferred_away',
  'device_reset',
  'history_destroyed',
  'dispute_opened',
  'dispute_withdrawn',
  'dispute_rejected',
  'dispute_completed',
])

/** Guests come and go, with an end and for devices of their own. */
export function isTold(event: HouseholdEvent): boolean {
  if ((event.kind === 'joined' || event.kind === 'removed') && event.role === 'guest') return false
  return TOLD.has(event.kind)
}

/** What people are to be told. It is handed over within the transaction that it tells of. */
export type RegistryNotice =
  | { about: 'household'; to: AccountId[]; householdId: HouseholdId; event: HouseholdEvent }
  /** To an address that somebody typed, who may have no account. */
  | { about: 'invitation'; to: Personal; householdId: HouseholdId; code: Secret }

export type Notify = (tx: Tx, notice: RegistryNotice) => Promise<void>
