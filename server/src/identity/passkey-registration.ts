import { createHash, randomBytes } from 'node:crypto'
import type { PublicKeyCredentialCreationOptionsJSON } from '@simplewebauthn/server'
import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  Personal,
  Secret,
  type Tx,
} from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Accounts } from './accounts.ts'
import type { PasskeyLink } from './face.ts'
import type { OneUse } from './one-use.ts'
import { type Challenge, newChallenge, userHandleOf } from './passkey-sign-in.ts'
import type { Passkeys } from './passkeys.ts'
import type { Sessions } from './sessions.ts'
import type { WebAuthn } from './webauthn.ts'

/** For whom a passkey may be made: an account that is there, or one that comes into being with it. */
export type Ticket =
  | AccountTicket
  | { for: 'customer'; accountId: AccountId; email: string; name: string }
  | { for: 'operator'; accountId: AccountId; email: string; name: string; code: string }

/** `sessionId`: who has asked for it; a sign-in that is not finished has none yet. */
interface AccountTicket {
  for: 'account'
  accountId: AccountId
  madeAtMs: number
  sessionId?: string
}

/** Makes the account of a ticket, which was given for a mailed code or an operator's. @throws AppError conflict */
export type MakeAccount = (tx: Tx, person: Exclude<Ticket, { for: 'account' }>) => Promise<void>

/** How passkeys are made: by whoever holds a link, once, within ten minutes. */
export interface PasskeyRegistration {
  link(ticket: Ticket): Promise<PasskeyLink>
  /** @throws AppError not_found when the link was used or has ended */
  options(ticket: Secret): Promise<PublicKeyCredentialCreationOptionsJSON>
  /** Uses the link up. @throws AppError not_found, invalid_request, conflict */
  complete(o: { ticket: Secret; response: unknown; name: Personal | undefined }): Promise<void>
}

const VALID_SECONDS = 10 * 60
const TICKET_BYTES = 32
export const PASSKEY_PAGE = '/oauth/passkeys'
const UNNAMED = new Personal('Passkey')

export function createPasskeyRegistration(o: {
  issuer: string
  database: Database
  clock: Clock
  vault: Vault
  webauthn: WebAuthn
  passkeys: Passkeys
  accounts: Pick<Accounts, 'signInsFrom'>
  sessions: Pick<Sessions, 'isLive'>
  tickets: OneUse<Ticket>
  challenges: OneUse<Challenge>
  makeAccount: MakeAccount
}): PasskeyRegistration {
  async function personOf(ticket: Ticket): Promise<{ email: Personal; name: Personal }> {
    if (ticket.for === 'account') return await o.vault.read(ticket.accountId)
    return { email: new Personal(ticket.email), name: new Personal(ticket.name) }
  }

  /** The account's row is locked: whoever replaces a credential, and ends sessions, comes before this or after it. */
  async function mayStill(tx: Tx, { accountId, madeAtMs, sessionId }: AccountTicket): Promise<boolean> {
    // From before a recovery it may be a thief's, and so may what a session has left behind that was ended since.
    if (madeAtMs < (await o.accounts.signInsFrom(tx, accountId))) return false
    return sessionId === undefined || (await o.sessions.isLive(sessionId, tx))
  }

  return {
    async link(ticket) {
      const secret = randomBytes(TICKET_BYTES).toString('base64url')
      await o.tickets.put(secret, ticket, VALID_SECONDS)
      // Behind the #, so that it reaches no log of this server or of a proxy, and no Referer.
      const url = new Secret(`${o.issuer}${PASSKEY_PAGE}#${secret}`)
      return { url, expiresAtMs: o.clock.nowMs() + VALID_SECONDS * 1000 }
    },

    async options(secret) {
      const ticket = await o.tickets.look(secret.reveal())
      if (!ticket) throw linkEnded()
      const challenge = newChallenge()
      await o.challenges.put(nameOf(secret), { challenge }, VALID_SECONDS)
      return await o.webauthn.creationOptions({
        challenge,
        userHandle: userHandleOf(ticket.accountId),
        ...(await personOf(ticket)),
        exclude: ticket.for === 'account' ? await o.passkeys.credentials(ticket.accountId) : [],
      })
    },

    async complete({ ticket: secret, response, name = UNNAMED }) {
      o.vault.checkName(name)
      const waiting = await o.challenges.take(nameOf(secret))
      if (!waiting) throw linkEnded()
      const credential = await o.webauthn.verifyCreation(response, waiting.challenge)
      await o.database.transaction(async (tx) => {
        const ticket = await o.tickets.take(secret.reveal(), tx)
        if (!ticket) throw linkEnded()
        if (ticket.for !== 'account') await o.makeAccount(tx, ticket)
        await o.passkeys.add(tx, ticket.accountId, credential, name)
        if (ticket.for === 'account' && !(await mayStill(tx, ticket))) throw linkEnded()
      })
    },
  }
}

/** The challenge's name must not be the ticket's: two rows of one digest would say that they belong together. */
function nameOf(ticket: Secret): string {
  return `ticket ${createHash('sha256').update(ticket.reveal()).digest('base64url')}`
}

function linkEnded(): AppError {
  return new AppError('not_found', {
    message: 'This link was used already, or has ended. Ask for a new one.',
  })
}
