import type { Mail } from '../mail/index.ts'
import type { HouseholdEvent, Notify } from '../registry/index.ts'

const SENTENCES: Partial<Record<HouseholdEvent['kind'], string>> = {
  joined: 'Somebody joined one of your homes by an invitation.',
  removed: 'A member was removed from a home.',
  role_changed: 'What a member may do in a home has changed.',
  handed_over: 'The ownership of a home has changed.',
  support_given: "One of the maker's support operators was given access to devices in one of your homes.",
  released: 'A device was given up. Whoever has it can reset it and take it in.',
  transfer_offered:
    'A device was offered to another home. Its owners can take the offer back until it is accepted.',
  transferred_away: 'A device has gone over to another home. Nobody in your home reaches it any more.',
  device_reset:
    'Somebody pressed the reset button of a device. The log of your home says whether it is still yours.',
  dispute_opened:
    'The maker was asked to end your hold on a device. An owner of your home can object until the time is up: npx hearthlock homes disputes',
  dispute_withdrawn: 'A dispute about a device of your home was withdrawn.',
  dispute_rejected: 'A dispute about a device of your home was decided in your favour.',
  dispute_completed: 'A device is no longer held by your home: a dispute about it was decided.',
  history_destroyed: 'What a former device had recorded was destroyed.',
}

/** What the registry has people told, as letters, in the transaction that it tells of. */
export function householdLetters(mail: Pick<Mail, 'enqueue'>): Notify {
  return async (tx, notice) => {
    if (notice.about === 'invitation') {
      const { to, code } = notice
      return mail.enqueue(tx, { to, letter: { kind: 'invitation', code } })
    }
    const what = SENTENCES[notice.event.kind]
    if (what === undefined) return
    for (const to of notice.to) await mail.enqueue(tx, { to, letter: { kind: 'household_changed', what } })
  }
}
