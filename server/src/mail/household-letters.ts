import { A_DAY, kind } from './letter-kind.ts'

/** Neither names nor nicknames: a letter lies in the open on lock screens and in other people's mail stores. */
export const householdLetters = {
  household_changed: kind<'what'>({
    subject: 'A change in one of your homes',
    usefulMinutes: A_DAY,
    text: ({ what }) => `${what}

The home's own log tells who did it and when: hearthlock homes log`,
  }),
  invitation: kind<'code'>({
    subject: 'You are invited into a home',
    usefulMinutes: 72 * 60,
    text: ({
      code,
    }) => `Somebody invites you into their home in Hearthlock. Sign in, then enter this code, which works once:

    ${code}

If you do not expect it, do nothing.`,
  }),
}
