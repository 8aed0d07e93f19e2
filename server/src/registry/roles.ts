import type { Act, MemberRole } from './face.ts'

/** Who may do what within a household. What is not written here is denied; guests act by grants, and there are none. */
const ALLOWED: Record<MemberRole, readonly Act[]> = {
  owner: ['view', 'control', 'configure', 'manage'],
  adult: ['view', 'control', 'configure'],
  guest: [],
}

export function mayAct(role: MemberRole | undefined, act: Act): boolean {
  return role !== undefined && Object.hasOwn(ALLOWED, role) && ALLOWED[role].includes(act)
}

/** Claiming brings a device into the household: owners and adults, as `configure`. */
export function mayClaim(role: MemberRole | undefined): boolean {
  return mayAct(role, 'configure')
}
