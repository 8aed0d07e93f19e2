import { describe, expect, it } from 'vitest'
import type { AccountId, HouseholdId, Tx } from '../../src/core/index.ts'
import { householdLetters } from '../../src/main/household-letters.ts'
import { isTold } from '../../src/registry/household-event.ts'
import type { HouseholdEvent } from '../../src/registry/index.ts'

const byKind = (events: HouseholdEvent[]): [string, HouseholdEvent][] =>
  events.map((event) => [event.kind, event])
const untilMs = 1_800_000_000_000

describe('what a household’s owners get letters for', () => {
  it.each(
    byKind([
      { kind: 'joined', role: 'adult' },
      { kind: 'removed', role: 'owner' },
      { kind: 'role_changed', from: 'guest', to: 'adult' },
      { kind: 'handed_over', remains: 'adult' },
      { kind: 'support_given', devices: [], acts: ['view'], untilMs },
      { kind: 'released', history: 'kept' },
      { kind: 'transfer_offered', untilMs, history: 'kept' },
      { kind: 'transferred_away', history: 'kept' },
      { kind: 'device_reset', tenureEnded: false },
      { kind: 'history_destroyed' },
      { kind: 'dispute_opened', dueAtMs: untilMs },
      { kind: 'dispute_withdrawn' },
      { kind: 'dispute_rejected' },
      { kind: 'dispute_completed' },
    ]),
  )('is told: %s', async (_kind, event) => {
    expect(isTold(event)).toBe(true)
    // And there are words for it.
    const sent: unknown[] = []
    const enqueue = async (_tx: Tx, letter: unknown) => void sent.push(letter)
    const household = { householdId: 'home' as HouseholdId, to: ['owner' as AccountId] }
    await householdLetters({ enqueue })({} as Tx, { about: 'household', ...household, event })
    expect(sent).toHaveLength(1)
  })

  it.each(
    byKind([
      { kind: 'founded' },
      { kind: 'joined', role: 'guest' },
      { kind: 'removed', role: 'guest' },
      { kind: 'left' },
      { kind: 'account_erased' },
      { kind: 'guest_changed' },
      { kind: 'invited', role: 'adult' },
      { kind: 'invitation_revoked' },
      { kind: 'support_used', act: 'view' },
      { kind: 'support_ended' },
      { kind: 'claimed' },
      { kind: 'received' },
      { kind: 'transfer_cancelled' },
      { kind: 'dispute_objected' },
    ]),
  )('stands in the log alone: %s', (_kind, event) => {
    expect(isTold(event)).toBe(false)
  })
})
