import {
  type AccountId,
  AppError,
  type Database,
  newId,
  Personal,
  type RecordAct,
  type Tx,
} from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Accounts } from './accounts.ts'
import { type Identity, type OperatorRole, operatorRoles } from './face.ts'
import type { OneUse } from './one-use.ts'
import type { PasskeyRegistration, Ticket } from './passkey-registration.ts'
import type { Passkeys } from './passkeys.ts'
import type { RateLimits } from './rate-limits.ts'
import { newTypedCode, normaliseTypedCode } from './typed-code.ts'

/** What a code gives. Without `invitedBy` it is the installation's own, for whoever reads the server's console. */
export interface Enrolment {
  roles: OperatorRole[]
  invitedBy?: AccountId
}

const FIRST_SECONDS = 60 * 60
const INVITATION_SECONDS = 24 * 60 * 60
/** 125 bits. */
const GROUPS = 5

interface EnrolmentOptions {
  database: Database
  vault: Vault
  accounts: Accounts
  passkeys: Passkeys
  /** Apart, for a new code of the console ends the one before, and no invitation. */
  firstCodes: OneUse<Enrolment>
  invitations: OneUse<Enrolment>
  recordAct: RecordAct
  limits: RateLimits
  registration: () => PasskeyRegistration
}

/** How operators come in: with a code and a passkey, at once. There is no operator's password. */
export function createEnrolment(
  o: EnrolmentOptions,
): Pick<Identity, 'operatorEnrolment' | 'inviteOperator' | 'enrolOperator'> {
  return {
    async operatorEnrolment() {
      if (await o.accounts.anyOperator()) return undefined
      const code = newTypedCode(GROUPS)
      await o.database.transaction(async (tx) => {
        await o.firstCodes.clear(tx)
        await o.firstCodes.put(normaliseTypedCode(code), { roles: [...operatorRoles] }, FIRST_SECONDS, tx)
      })
      return code
    },

    async inviteOperator({ invitedBy, roles }) {
      const code = newTypedCode(GROUPS)
      const enrolment = { roles: sorted(roles), invitedBy }
      await o.database.transaction(async (tx) => {
        await o.invitations.put(normaliseTypedCode(code), enrolment, INVITATION_SECONDS, tx)
        const subject = { kind: 'operator', id: 'new' }
        const details = { roles: enrolment.roles }
        await o.recordAct(tx, { actor: invitedBy, act: 'operators.invited', subject, details })
      })
      return code
    },

    async enrolOperator({ code, email, name, remoteAddress }) {
      o.limits.spendForAddress('enrolment', remoteAddress)
      const typed = normaliseTypedCode(code)
      if (!((await o.firstCodes.look(typed)) ?? (await o.invitations.look(typed)))) throw refused()
      o.vault.checkEmail(email)
      o.vault.checkName(name)
      // The account is there without a passkey where it comes from a version that had operators' passwords.
      const present = await o.vault.findByEmail('operator', email)
      if (present && (await o.passkeys.count(present)) > 0) throw taken()
      return await o.registration().link({
        for: 'operator',
        accountId: present ?? newId<AccountId>(),
        email: email.reveal(),
        name: name.reveal(),
        code: typed,
      })
    },
  }
}

/** The second half: uses the code up, in the transaction that keeps the passkey. */
export function createMakeOperator(o: Omit<EnrolmentOptions, 'registration' | 'limits'>) {
  async function record(tx: Tx, accountId: AccountId, { roles, invitedBy }: Enrolment): Promise<void> {
    await o.recordAct(tx, {
      actor: accountId,
      act: 'operators.enrolled',
      subject: { kind: 'operator', id: accountId },
      details: { roles, invitedBy: invitedBy ?? 'system' },
    })
  }

  return async (tx: Tx, ticket: Extract<Ticket, { for: 'operator' }>): Promise<void> => {
    const { accountId, code } = ticket
    const first = await o.firstCodes.take(code, tx)
    if (first && (await o.accounts.anyOperator(tx))) throw refused()
    const enrolment = first ?? (await o.invitations.take(code, tx))
    if (!enrolment) throw refused()
    const { roles, invitedBy } = enrolment
    // What somebody left behind who may not invite any more is worth nothing.
    if (invitedBy && !(await o.accounts.find(invitedBy))?.roles.includes('security')) throw refused()
    if (await o.accounts.find(accountId)) {
      if ((await o.passkeys.count(accountId, tx)) > 0) throw taken()
      await o.accounts.setRoles(tx, accountId, roles)
      await record(tx, accountId, enrolment)
      return
    }
    const person = { email: new Personal(ticket.email), name: new Personal(ticket.name) }
    if ((await o.vault.add(tx, { accountId, kind: 'operator', ...person })) === 'taken') throw taken()
    await o.accounts.add(tx, { accountId, kind: 'operator', roles, sealedPassword: undefined })
    await record(tx, accountId, enrolment)
  }
}

export function sorted(roles: OperatorRole[]): OperatorRole[] {
  return operatorRoles.filter((role) => roles.includes(role))
}

function refused(): AppError {
  return new AppError('sign_in_refused', {
    message:
      'This enrolment code cannot be used. It works once: within the hour, or within a day if it is an invitation.',
  })
}

function taken(): AppError {
  return new AppError('conflict', { message: 'There is an operator with this e-mail address.' })
}
