import { localTime } from './local-time.ts'
import type { DeviceShape, LogEntryShape, PersonShape } from './shapes.ts'

/** An entry of a household's log, as a sentence. `nicknames`: of the devices that it holds, or held. */
export function sentence(entry: LogEntryShape, nicknames: ReadonlyMap<string, string>): string {
  const { kind, details } = entry
  const by = nameOf(entry.by)
  const account = nameOf(entry.account)
  const device = deviceName(entry.deviceId, nicknames)
  switch (kind) {
    case 'founded':
      return `${by} made this home`
    case 'claimed':
      return `${by} took in ${device}`
    case 'released':
      return `${by} gave up ${device}${historyOf(details)}`
    case 'transfer_offered':
      return `${by} offered ${device} to another home, until ${localTime(Number(details.untilMs))}`
    case 'transfer_cancelled':
      return `${by} took the offer of ${device} back`
    case 'transferred_away':
      return `${device} went over to another home, as ${by} had offered${historyOf(details)}`
    case 'received':
      return `${by} took over ${device} from another home`
    case 'device_reset':
      return details.tenureEnded === true
        ? `Somebody reset ${device}, and it is nobody's now`
        : `Somebody reset ${device}; it is still this home's`
    case 'dispute_opened':
      return `The maker was asked to take ${device} out of this home; owners can object until ${localTime(Number(details.dueAtMs))}`
    case 'dispute_objected':
      return `${by} objected to the dispute about ${device}`
    case 'dispute_withdrawn':
      return `The dispute about ${device} was withdrawn`
    case 'dispute_rejected':
      return `The dispute about ${device} was decided for this home`
    case 'dispute_completed':
      return `The dispute about ${device} was decided: it is nobody's now`
    case 'history_destroyed':
      return `${by} destroyed what ${device} had recorded`
    case 'invited':
      return `${by} invited somebody as ${details.role}`
    case 'invitation_revoked':
      return `${by} took an invitation back`
    case 'joined':
      return `${account} joined as ${details.role}, invited by ${by}`
    case 'left':
      return `${account} left`
    case 'removed':
      return `${by} removed ${account}, who was ${details.role}`
    case 'role_changed':
      return `${by} made ${account} ${details.to} instead of ${details.from}`
    case 'guest_changed':
      return `${by} changed the times or devices of the guest ${account}`
    case 'handed_over':
      return `${by} handed the home over to ${account}${details.remains === 'owner' ? ' and owns it with them' : ''}`
    case 'account_erased':
      return 'A member erased their account'
    case 'support_given':
      return `${by} let the support operator ${account} ${actsOf(details.acts)} ${listed(details.devices, nicknames)}`
    case 'support_used':
      return `The support operator ${account} used ${device}: ${details.act}`
    case 'support_ended':
      return `${by} ended the access of the support operator ${account}`
    default:
      return plain(kind, [by, account, device].filter(Boolean), details)
  }
}

/** What this version has no sentence for is shown all the same: a newer server may write it. */
function plain(kind: string, who: string[], details: Record<string, unknown>): string {
  const more = Object.entries(details).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return [kind.replaceAll('_', ' '), ...who, ...more].join(' ')
}

function historyOf({ history }: Record<string, unknown>): string {
  return history === 'destroyed' ? ', and destroyed its history' : ''
}

function actsOf(acts: unknown): string {
  return Array.isArray(acts) && acts.includes('control') ? 'see and control' : 'see'
}

function listed(devices: unknown, nicknames: ReadonlyMap<string, string>): string {
  return Array.isArray(devices) ? devices.map((id) => deviceName(String(id), nicknames)).join(', ') : ''
}

function nameOf(person: PersonShape | undefined): string {
  return person ? (person.name ?? 'a former member') : ''
}

export function deviceName(deviceId: string | undefined, nicknames: ReadonlyMap<string, string>): string {
  return deviceId === undefined ? '' : (nicknames.get(deviceId) ?? `the device ${deviceId.slice(0, 8)}`)
}

export function nicknamesOf(
  devices: readonly Pick<DeviceShape, 'deviceId' | 'nickname' | 'model'>[],
): Map<string, string> {
  return new Map(devices.map(({ deviceId, nickname, model }) => [deviceId, nickname ?? model.title]))
}
