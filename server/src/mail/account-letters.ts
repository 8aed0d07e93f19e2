import { A_DAY, kind } from './letter-kind.ts'

/** No letter here repeats a name that somebody typed: a stranger could sign up with a message to the addressee as "name". */
export const accountLetters = {
  sign_up: kind<'code'>({
    subject: 'Your Hearthlock code',
    usefulMinutes: A_DAY,
    text: ({
      code,
    }) => `Somebody, most likely you, wants a Hearthlock account with this address. If it was you, enter this
code within a day where you signed up:

    ${code}

Give it to nobody. If it was not you, do nothing: without the code there is no account.`,
  }),
  email_verification: kind<'code'>({
    subject: 'Your Hearthlock code',
    usefulMinutes: 15,
    text: ({
      code,
    }) => `Somebody, most likely you, wants this address for their Hearthlock account. To confirm that it is
yours, enter this code within 15 minutes:

    ${code}

Give it to nobody. If it was not you, do nothing: without the code nothing changes.`,
  }),
  address_in_use: kind({
    subject: 'You have a Hearthlock account already',
    usefulMinutes: A_DAY,
    text: () => `Somebody, maybe you, tried to make a Hearthlock account with this address. It has one already, and
nothing was changed.

If it was you, sign in, or choose "Forgot password". If it was not, you need not do anything.`,
  }),
  recovery_code: kind<'code'>({
    subject: 'Your Hearthlock recovery code',
    usefulMinutes: 15,
    text: ({
      code,
    }) => `Somebody, most likely you, asked to recover the Hearthlock account of this address. To choose a
new password, enter this code within 15 minutes:

    ${code}

Give it to nobody: whoever has it can take over the account. If it was not you, do nothing.`,
  }),
  recovered: kind({
    subject: 'Your Hearthlock account was recovered',
    usefulMinutes: A_DAY,
    text: () => `Your Hearthlock account has a new password, set with a code that was sent to this address. Every session
is told. For 24 hours the account cannot move locks, see cameras or change who lives in its homes.

If it was you, a session from before can end this waiting time: hearthlock recovery confirm
If it was not you, undo it from such a session, or after a sign-in with a passkey that you had before:
hearthlock recovery deny
Then the password from before holds again, and nobody is signed in who was not before.`,
  }),
  recovery_denied: kind({
    subject: 'The recovery of your Hearthlock account was undone',
    usefulMinutes: A_DAY,
    text: () => `Somebody with a sign-in and a password or passkey from before said that the last recovery of your Hearthlock account was
not you. It was undone: the password from before holds again, and the sessions since have ended.

Look at who can read your mail; until that is sure, give the account another address. If it was not you who undid it, somebody
else has your password or a passkey.`,
  }),
  session_ended_by_reuse: kind({
    subject: 'A Hearthlock session was ended for safety',
    usefulMinutes: A_DAY,
    text: () => `A session of your Hearthlock account was presented twice, as happens when it has been copied to another
machine. It has been ended, for both. Sign in again where you use it. If that surprises you, end all sessions, and
choose a new password.`,
  }),
  address_changed: kind({
    subject: 'The address of your Hearthlock account was changed',
    usefulMinutes: A_DAY,
    text: () => `Your Hearthlock account has another e-mail address from now on, and this one gets no more letters.

If you did not do that, tell whoever runs this Hearthlock at once.`,
  }),
}
