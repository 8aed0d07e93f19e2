import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkGuestSchedule, type GuestSchedule, isWithin } from '../../src/registry/guest-schedule.ts'
import type { Act } from '../../src/registry/index.ts'
import { mayAct, mayActInHousehold, type Standing, seesFromMs } from '../../src/registry/standing.ts'

const acts: Act[] = ['view', 'control', 'configure', 'manage', 'history']
const MONDAY_NOON_BERLIN = Date.parse('2026-03-02T11:00:00Z')
const guestUntil = (untilMs: number): GuestSchedule => ({ untilMs })

const nobody: Standing = {
  role: undefined,
  schedule: undefined,
  grant: undefined,
  heldBack: false,
  guarding: false,
  tenure: 'current',
}
const standings = fc.record<Standing>({
  role: fc.constantFrom(undefined, 'owner', 'adult', 'guest'),
  schedule: fc.constantFrom(undefined, guestUntil(0), guestUntil(MONDAY_NOON_BERLIN * 2)),
  grant: fc.option(
    fc.record({
      grantee: fc.constantFrom('guest', 'operator'),
      acts: fc.subarray(acts),
      untilMs: fc.constantFrom(undefined, 0, MONDAY_NOON_BERLIN * 2),
    }),
    { nil: undefined },
  ),
  heldBack: fc.boolean(),
  guarding: fc.boolean(),
  tenure: fc.constantFrom('current', 'kept', 'destroyed'),
})
const anyAct = fc.constantFrom(...acts)
const allows = (standing: Partial<Standing>, act: Act, atMs = MONDAY_NOON_BERLIN) =>
  mayAct({ ...nobody, ...standing }, act, atMs)

describe('who may act', () => {
  test('nobody who has nothing to do with the tenure', () => {
    for (const act of acts) expect(allows({}, act)).toBe(false)
  })

  test('a tenure that has ended leaves its household its history, and nothing else to anybody', () => {
    fc.assert(
      fc.property(standings, anyAct, (standing, act) => {
        if (standing.tenure === 'current' || !mayAct(standing, act, MONDAY_NOON_BERLIN)) return
        expect(act).toBe('history')
        expect(standing.tenure).toBe('kept')
        expect(['owner', 'adult']).toContain(standing.role)
      }),
    )
  })

  test('sees the whole of a tenure as a member, and by a grant what came after it', () => {
    const grant = { grantee: 'guest', acts: ['view'], sinceMs: 1_000 } as const
    for (const role of ['owner', 'adult'] as const) {
      expect(seesFromMs({ ...nobody, role })).toBe(0)
      expect(seesFromMs({ ...nobody, role, grant })).toBe(0)
    }
    expect(seesFromMs({ ...nobody, role: 'guest', grant })).toBe(1_000)
    expect(seesFromMs({ ...nobody, grant: { ...grant, grantee: 'operator' } })).toBe(1_000)
    // Of a grant that does not say when it was given, and without any.
    expect(seesFromMs({ ...nobody, role: 'guest', grant: { ...grant, sinceMs: undefined } })).toBe(
      Number.POSITIVE_INFINITY,
    )
    expect(seesFromMs({ ...nobody, role: 'guest' })).toBe(Number.POSITIVE_INFINITY)
  })

  test('an account that is held back reaches no lock and no camera', () => {
    fc.assert(
      fc.property(standings, anyAct, (standing, act) => {
        expect(mayAct({ ...standing, heldBack: true, guarding: true }, act, MONDAY_NOON_BERLIN)).toBe(false)
      }),
    )
  })

  test('a grant gives viewing and control at most, whatever its row says', () => {
    fc.assert(
      fc.property(standings, anyAct, (standing, act) => {
        if (standing.role === 'owner' || standing.role === 'adult') return
        if (mayAct(standing, act, MONDAY_NOON_BERLIN)) expect(['view', 'control']).toContain(act)
      }),
    )
  })

  test('a guest acts by a grant, until the end', () => {
    const untilMs = MONDAY_NOON_BERLIN + 1
    const guest = {
      role: 'guest',
      schedule: { untilMs },
      grant: { grantee: 'guest', acts: ['view'] },
    } as const
    expect(allows(guest, 'view')).toBe(true)
    expect(allows(guest, 'control')).toBe(false)
    expect(allows(guest, 'view', untilMs)).toBe(false)
    expect(allows({ ...guest, grant: undefined }, 'view')).toBe(false)
    expect(allows({ ...guest, schedule: undefined }, 'view')).toBe(false)
    expect(allows({ ...guest, role: undefined }, 'view')).toBe(false)
  })

  test("an operator's grant ends, and one without an end is none", () => {
    const grant = { grantee: 'operator', acts: ['view'], untilMs: MONDAY_NOON_BERLIN + 1 } as const
    expect(allows({ grant }, 'view')).toBe(true)
    expect(allows({ grant }, 'view', MONDAY_NOON_BERLIN + 1)).toBe(false)
    expect(allows({ grant: { ...grant, untilMs: undefined } }, 'view')).toBe(false)
  })

  test('adults configure; only owners manage', () => {
    expect(allows({ role: 'adult' }, 'configure')).toBe(true)
    expect(allows({ role: 'adult' }, 'manage')).toBe(false)
    expect(allows({ role: 'owner' }, 'manage')).toBe(true)
  })

  test('an owner who is held back changes nothing in the household', () => {
    expect(mayActInHousehold({ role: 'owner', heldBack: false }, 'manage', 0)).toBe(true)
    for (const act of ['control', 'configure', 'manage', 'history'] as const) {
      expect(mayActInHousehold({ role: 'owner', heldBack: true }, act, 0)).toBe(false)
    }
  })
})

describe("a guest's hours", () => {
  const weekly = (windows: NonNullable<GuestSchedule['hours']>['windows'], timeZone = 'Europe/Berlin') => ({
    untilMs: Number.MAX_SAFE_INTEGER,
    hours: { timeZone, windows },
  })

  test('are wall-clock hours of the home', () => {
    const monday = weekly([{ days: ['mon'], from: '09:00', to: '12:30' }])
    expect(isWithin(monday, MONDAY_NOON_BERLIN)).toBe(true)
    expect(isWithin(monday, Date.parse('2026-03-02T11:30:00Z'))).toBe(false)
    expect(isWithin(monday, Date.parse('2026-03-02T07:59:59Z'))).toBe(false)
    expect(isWithin(monday, Date.parse('2026-03-03T11:00:00Z'))).toBe(false)
    // In summer the same wall-clock time is an hour earlier.
    expect(isWithin(monday, Date.parse('2026-07-06T07:00:00Z'))).toBe(true)
    expect(isWithin(monday, Date.parse('2026-07-06T06:59:00Z'))).toBe(false)
  })

  test('may go over midnight', () => {
    const night = weekly([{ days: ['fri'], from: '22:00', to: '02:00' }], 'UTC')
    expect(isWithin(night, Date.parse('2026-03-06T23:00:00Z'))).toBe(true)
    expect(isWithin(night, Date.parse('2026-03-07T01:59:00Z'))).toBe(true)
    expect(isWithin(night, Date.parse('2026-03-07T02:00:00Z'))).toBe(false)
    expect(isWithin(night, Date.parse('2026-03-06T01:00:00Z'))).toBe(false)
  })

  test('that cannot be understood give no access', () => {
    expect(isWithin(weekly([{ days: ['mon'], from: '00:00', to: '23:59' }], 'Nowhere/At_All'), 0)).toBe(false)
    expect(isWithin({ untilMs: Number.NaN }, 0)).toBe(false)
  })

  test.each([
    ['an end in the past', { untilMs: 0 }],
    ['an end in two years', { untilMs: MONDAY_NOON_BERLIN + 800 * 86_400_000 }],
    ['an unknown place', { ...weekly([{ days: ['mon'], from: '09:00', to: '10:00' }], '+02:00') }],
    ['no window', { ...weekly([]) }],
    ['an hour that does not exist', { ...weekly([{ days: ['mon'], from: '09:00', to: '24:00' }]) }],
    ['no day', { ...weekly([{ days: [], from: '09:00', to: '10:00' }]) }],
  ])('are refused with %s', (_what, schedule) => {
    const untilMs = schedule.untilMs === Number.MAX_SAFE_INTEGER ? MONDAY_NOON_BERLIN + 1 : schedule.untilMs
    expect(() => checkGuestSchedule({ ...schedule, untilMs }, MONDAY_NOON_BERLIN)).toThrow()
  })
})
