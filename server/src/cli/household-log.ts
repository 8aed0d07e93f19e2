import type { DeviceShape, LogEntryShape, PersonShape } from './shapes.ts'

/** An entry of a household's log, as a sentence. `nicknames`: of the devices that it holds now. */
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
    default:
      return plain(kind, [by, account, device].filter(Boolean), details)
  }
}

/** What this version has no sentence for is shown all the same: a newer server may write it. */
function plain(kind: string, who: string[], details: Record<string, unknown>): string {
  const more = Object.entries(details).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return [kind.replaceAll('_', ' '), ...who, ...more].join(' ')
}

function nameOf(person: PersonShape | undefined): string {
  return person ? (person.name ?? 'a former member') : ''
}

export function deviceName(deviceId: string | undefined, nicknames: ReadonlyMap<string, string>): string {
  return deviceId === undefined ? '' : (nicknames.get(deviceId) ?? `the device ${deviceId.slice(0, 8)}`)
}

export function nicknamesOf(devices: readonly DeviceShape[]): Map<string, string> {
  return new Map(devices.map(({ deviceId, nickname, model }) => [deviceId, nickname ?? model.title]))
}
