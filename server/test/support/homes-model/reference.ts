/** Who may do what in two homes and with two devices: the rules once more, in a few maps. Times in milliseconds. */
export interface ReferenceHomes {
  nowMs: number
  /** By home, then account. */
  members: Map<number, Member>[]
  devices: Device[]
  invitations: { home: number; by: number; as: Member; untilMs: number; used: boolean }[]
  offers: { device: number; tenure: number; by: number; untilMs: number; open: boolean }[]
  past: { device: number; tenure: number; home: number; kept: boolean }[]
  /** Until when an account that was recovered is held back. */
  heldBack: Map<number, number>
}

export interface Member {
  role: 'owner' | 'adult' | 'guest'
  untilMs?: number
  /** When this guest came in, or last got other terms: what was asked of a device before is not shown. */
  sinceMs?: number
  /** Hours of every day in UTC. */
  hours?: readonly [from: number, to: number] | undefined
  /** By device: as it was said in the invitation. */
  named?: ReadonlyMap<number, 'view' | 'control'>
  /** By tenure: as it holds. */
  grants?: Map<number, 'view' | 'control'>
}

export interface Device {
  /** Locks: no reset ends their tenure, and they do not obey who is held back. */
  guarding: boolean
  home: number | undefined
  /** Of the present tenure, or the last one; 0: never held. */
  tenure: number
  online: boolean
  resetMs: number | undefined
  /** Asked for, and not sent yet. */
  waiting: { commandId: string; by: number; tenure: number; untilMs: number; lost?: boolean }[]
}

export const HOUR_MS = 3_600_000
const CLAIM_WINDOW_MS = 15 * 60_000

export const isHeldBack = (m: ReferenceHomes, who: number) => (m.heldBack.get(who) ?? 0) > m.nowMs

function isWithin({ untilMs = 0, hours }: Member, nowMs: number): boolean {
  if (nowMs >= untilMs) return false
  if (!hours) return true
  const hour = new Date(nowMs).getUTCHours()
  const [from, to] = hours
  return from < to ? hour >= from && hour < to : hour >= from || hour < to
}

export function mayOn(
  m: ReferenceHomes,
  who: number,
  device: number,
  act: 'view' | 'control' | 'manage',
): boolean {
  const { home, tenure, guarding } = m.devices[device] as Device
  const member = home === undefined ? undefined : m.members[home]?.get(who)
  if (!member) return false
  if (isHeldBack(m, who) && (guarding || act === 'manage')) return false
  if (member.role === 'owner') return true
  if (member.role === 'adult') return act !== 'manage'
  const grant = member.grants?.get(tenure)
  if (!grant || !isWithin(member, m.nowMs)) return false
  return act === 'view' || (act === 'control' && grant === 'control')
}

export function mayReadCommand(
  m: ReferenceHomes,
  who: number,
  command: { d: number; tenure: number; by: number; atMs: number },
): boolean {
  const { home, tenure } = m.devices[command.d] as Device
  if (tenure !== command.tenure || !mayOn(m, who, command.d, 'view')) return false
  const member = home === undefined ? undefined : m.members[home]?.get(who)
  return member?.role !== 'guest' || command.by === who || command.atMs >= (member.sinceMs ?? 0)
}

export function mayInHome(
  m: ReferenceHomes,
  who: number,
  home: number,
  act: 'view' | 'configure' | 'manage',
): boolean {
  const member = m.members[home]?.get(who)
  if (!member) return false
  if (act === 'view') return member.role !== 'guest' || isWithin(member, m.nowMs)
  if (isHeldBack(m, who)) return false
  return member.role === 'owner' || (member.role === 'adult' && act === 'configure')
}

export const mayLet = (m: ReferenceHomes, who: number, home: number, role: Member['role']) =>
  mayInHome(m, who, home, role === 'guest' ? 'configure' : 'manage')

export function mayReadPast(m: ReferenceHomes, who: number, past: ReferenceHomes['past'][number]): boolean {
  const role = m.members[past.home]?.get(who)?.role
  const { guarding } = m.devices[past.device] as Device
  return past.kept && (role === 'owner' || role === 'adult') && !(guarding && isHeldBack(m, who))
}

export function mayClaim(m: ReferenceHomes, who: number, home: number, device: number): boolean {
  const { home: holder, online, tenure, resetMs } = m.devices[device] as Device
  if (!mayInHome(m, who, home, 'configure') || holder !== undefined || !online) return false
  return tenure === 0 || (resetMs !== undefined && m.nowMs - resetMs <= CLAIM_WINDOW_MS)
}

/** Whoever is in a home still counts as a member after a guest's end, but may come in again. */
export function seesHome(m: ReferenceHomes, who: number, home: number): boolean {
  const member = m.members[home]?.get(who)
  return member !== undefined && (member.role !== 'guest' || m.nowMs < (member.untilMs ?? 0))
}

export function endTenure(m: ReferenceHomes, device: number): void {
  const it = m.devices[device] as Device
  if (it.home === undefined) return
  m.past.push({ device, tenure: it.tenure, home: it.home, kept: true })
  it.home = undefined
  it.resetMs = undefined
  it.waiting = []
}

let tenures = 0
export function beginTenure(m: ReferenceHomes, device: number, home: number): void {
  tenures += 1
  Object.assign(m.devices[device] as Device, { home, tenure: tenures, resetMs: undefined })
}

/** Grants are of the tenures that the home has then. */
export function comeIn(m: ReferenceHomes, home: number, who: number, as: Member): void {
  const grants = new Map<number, 'view' | 'control'>()
  for (const [device, act] of as.named ?? []) {
    const { home: holder, tenure } = m.devices[device] as Device
    if (holder === home) grants.set(tenure, act)
  }
  m.members[home]?.set(who, { ...as, grants, sinceMs: m.nowMs })
}
