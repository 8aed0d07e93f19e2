import type { Act, MemberRole } from './acts.ts'
import { type GuestSchedule, isWithin } from './guest-schedule.ts'

/** What an account has to do with a tenure and its household at one moment: all that a decision may rest on. */
export interface Standing {
  /** Membership in the household that holds, or held, the device. */
  role: MemberRole | undefined
  /** A guest's times. A guest without them has no access. */
  schedule: GuestSchedule | undefined
  grant: AccessGrant | undefined
  /** The account was recovered a short while ago. */
  heldBack: boolean
  /** The model's devices guard a home: locks and cameras. */
  guarding: boolean
  tenure: 'current' | 'kept' | 'destroyed'
}

export interface AccessGrant {
  grantee: 'guest' | 'operator'
  acts: readonly Act[]
  /** When it was given. */
  sinceMs?: number | undefined
  /** Operators' grants end; a guest's end is in the schedule. */
  untilMs?: number | undefined
}

/** Who may do what within a household. What is not written here is denied; guests act by their grants alone. */
const BY_ROLE: Record<MemberRole, readonly Act[]> = {
  owner: ['view', 'control', 'configure', 'manage', 'history'],
  adult: ['view', 'control', 'configure', 'history'],
  guest: [],
}
/** The most that a grant can hold, whatever its row says. */
const BY_GRANT: readonly Act[] = ['view', 'control']

/**
 * The one place where it is decided who may do what on a device, and when. Denies by default.
 * `history` is reading what a tenure left after its end; all else needs the tenure to hold now.
 */
export function mayAct(standing: Standing, act: Act, atMs: number): boolean {
  if (standing.heldBack && standing.guarding) return false
  if (standing.tenure === 'destroyed') return false
  if (standing.tenure === 'kept') return act === 'history' && byRole(standing.role, act)
  return byRole(standing.role, act) || byGrant(standing, act, atMs)
}

/**
 * From when on it may see what happened on the device: members the whole tenure, whoever has a grant only what came after
 * that was given, and nothing where that is not known.
 */
export function seesFromMs({ role, grant }: Standing): number {
  if (byRole(role, 'view')) return 0
  return grant?.sinceMs ?? Number.POSITIVE_INFINITY
}

/**
 * Acts on the household itself. `view`: that it has devices, of which each is asked for by itself. `history`: its
 * members and its log. `configure`: claims and guests. `manage`: members. An account that is held back lets nobody in.
 */
export function mayActInHousehold(
  member: { role: MemberRole | undefined; schedule?: GuestSchedule | undefined; heldBack: boolean },
  act: Act,
  atMs: number,
): boolean {
  if (member.heldBack && act !== 'view') return false
  if (member.role === 'guest' && act === 'view') {
    return member.schedule !== undefined && isWithin(member.schedule, atMs)
  }
  return byRole(member.role, act)
}

/** That there is a household, and its name: members see it at all hours, guests until their end. */
export function maySeeHousehold(
  member: { role: MemberRole | undefined; schedule?: GuestSchedule | undefined },
  atMs: number,
): boolean {
  if (member.role === 'guest') return member.schedule !== undefined && atMs < member.schedule.untilMs
  return byRole(member.role, 'view')
}

type HouseholdStanding = Parameters<typeof mayActInHousehold>[0]

/** Adults let guests in and out; everybody else comes, goes and changes by an owner. */
export function mayRuleOver(member: HouseholdStanding, roles: readonly MemberRole[], atMs: number): boolean {
  const guestsOnly = roles.every((role) => role === 'guest')
  return mayActInHousehold(member, guestsOnly ? 'configure' : 'manage', atMs)
}

export function mayInvite(member: HouseholdStanding, as: 'adult' | 'guest', atMs: number): boolean {
  return mayRuleOver(member, [as], atMs)
}

function byRole(role: MemberRole | undefined, act: Act): boolean {
  return role !== undefined && Object.hasOwn(BY_ROLE, role) && BY_ROLE[role].includes(act)
}

function byGrant({ role, schedule, grant }: Standing, act: Act, atMs: number): boolean {
  if (!grant || !BY_GRANT.includes(act) || !grant.acts.includes(act)) return false
  if (grant.untilMs !== undefined && !(atMs < grant.untilMs)) return false
  switch (grant.grantee) {
    case 'guest':
      return role === 'guest' && schedule !== undefined && isWithin(schedule, atMs)
    case 'operator':
      return role === undefined && grant.untilMs !== undefined
    default:
      return false
  }
}
