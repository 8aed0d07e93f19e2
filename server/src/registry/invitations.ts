import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type HouseholdId,
  type InvitationId,
  newId,
  type Tx,
} from '../core/index.ts'
import { type Keys, place, type SealingKey } from '../keys/index.ts'
import { type AccessGrants, checkDeviceGrants } from './access-grants.ts'
import type { Changes } from './changes.ts'
import { canonicalClaimCode, newClaimCode } from './claim-code.ts'
import { checkGuestSchedule } from './guest-schedule.ts'
import type { Notify } from './household-event.ts'
import type { HouseholdLog } from './household-log.ts'
import { roomForAnother } from './households.ts'
import { lockHousehold, type Memberships, schedulePlace } from './memberships.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import type { Invitation, NewRole, People } from './people-face.ts'
import { beforeNoReset } from './reset-codes.ts'
import { mayActInHousehold, mayInvite, maySeeHousehold } from './standing.ts'
import type { RegistryTables } from './tables.ts'

const HOUR_MS = 3_600_000
const MAX_HOURS = 168
/** Open at a time in one household: whoever invites for ever fills no disk. */
const MAX_OPEN = 20
/** Guests included. */
const MAX_MEMBERS = 50

export type Invitations = Pick<People, 'invite' | 'invitations' | 'revokeInvitation' | 'acceptInvitation'>

export interface InvitationsOptions {
  database: Database
  keys: Keys
  clock: Clock
  memberships: Memberships
  grants: AccessGrants
  householdLog: HouseholdLog
  changes: Changes
  notify: Notify
}

type Terms = Pick<Invitation, 'as' | 'expiresAtMs'>

const termsPlace = (id: InvitationId) => place('registry.invitation.terms', id)

export function createInvitations(d: InvitationsOptions): Invitations {
  const digests = d.keys.purpose('registry.invitation-code')
  const now = () => d.clock.nowMs()

  const openTerms = (key: SealingKey, row: { invitation_id: InvitationId; terms: Buffer }): Terms =>
    parseJson(key.unseal(termsPlace(row.invitation_id), row.terms))

  /** Expired ones go first: they take nobody's place. */
  async function refuseTooMany(tx: Tx, householdId: HouseholdId): Promise<void> {
    const tables = tx.withTables<RegistryTables>()
    await tables
      .deleteFrom('registry.invitation')
      .where('household_id', '=', householdId)
      .where((eb) =>
        eb.or([eb('expires_hour', '<=', new Date(now())), eb.not(beforeNoReset('household_id'))]),
      )
      .execute()
    const { count } = await tables
      .selectFrom('registry.invitation')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('household_id', '=', householdId)
      .executeTakeFirstOrThrow()
    if (count >= MAX_OPEN) {
      throw new AppError('conflict', {
        message: `A household has at most ${MAX_OPEN} open invitations. Revoke one, or wait until one expires.`,
      })
    }
  }

  async function refuseFull(tx: Tx, householdId: HouseholdId): Promise<void> {
    const { count } = await tx
      .withTables<RegistryTables>()
      .selectFrom('registry.member')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('household_id', '=', householdId)
      .executeTakeFirstOrThrow()
    if (count >= MAX_MEMBERS) {
      throw new AppError('conflict', { message: `A household has at most ${MAX_MEMBERS} members.` })
    }
  }

  /** Deleting is what uses the code up: of two at the same moment, one finds the row. */
  async function use(tx: Tx, accountId: AccountId, householdId: HouseholdId, invitationId: InvitationId) {
    const tables = tx.withTables<RegistryTables>()
    const row = await tables
      .deleteFrom('registry.invitation')
      .where('invitation_id', '=', invitationId)
      .where(beforeNoReset('household_id'))
      .returning(['invitation_id', 'inviter', 'terms'])
      .executeTakeFirst()
    const inviter = row && (await d.memberships.of({ accountId: row.inviter, householdId }, tx))
    if (!row || !inviter?.householdKeyId) throw refused()
    const key = await d.keys.open(inviter.householdKeyId, tx)
    const { as, expiresAtMs } = openTerms(key, row)
    if (expiresAtMs <= now() || !mayInvite(inviter, as.role, now())) throw refused()
    if (as.role === 'guest' && as.guest.schedule.untilMs <= now()) throw refused()

    const present = await d.memberships.of({ accountId, householdId }, tx)
    if (maySeeHousehold(present, now())) {
      throw new AppError('conflict', { message: 'You are in this household already.' })
    }
    await refuseFull(tx, householdId)
    const terms =
      as.role === 'guest'
        ? key.seal(schedulePlace(householdId, accountId), paddedJson(as.guest.schedule))
        : null
    const member = { role: as.role, terms }
    await tables
      .insertInto('registry.member')
      .values({ household_id: householdId, account_id: accountId, ...member })
      // A guest whose time was over.
      .onConflict((conflict) => conflict.columns(['household_id', 'account_id']).doUpdateSet(member))
      .execute()
    const devices = as.role === 'guest' ? as.guest.devices : []
    await d.grants.give(tx, { householdId, accountId, grantee: 'guest', devices, heldOnly: true })
    await d.householdLog.append(tx, householdId, {
      kind: 'joined',
      by: row.inviter,
      account: accountId,
      role: as.role,
    })
  }

  return {
    async invite({ accountId, householdId, as, hours, mailTo }) {
      const wanted = checkNewRole(as, now())
      if (!Number.isInteger(hours) || hours < 1 || hours > MAX_HOURS) {
        throw new AppError('invalid_request', {
          message: `An invitation is good for 1 to ${MAX_HOURS} hours.`,
        })
      }
      const code = newClaimCode()
      const invitation: Invitation = {
        invitationId: newId<InvitationId>(),
        by: accountId,
        as: wanted,
        expiresAtMs: now() + hours * HOUR_MS,
      }
      await d.database.transaction(async (tx) => {
        const member = await d.memberships.of({ accountId, householdId }, tx)
        if (!member.householdKeyId || !mayInvite(member, wanted.role, now())) throw new AppError('not_found')
        await refuseTooMany(tx, householdId)
        if (wanted.role === 'guest') await refuseUnheld(tx, householdId, wanted)
        const key = await d.keys.open(member.householdKeyId, tx)
        const { invitationId, expiresAtMs } = invitation
        await tx
          .withTables<RegistryTables>()
          .insertInto('registry.invitation')
          .values({
            invitation_id: invitationId,
            household_id: householdId,
            inviter: accountId,
            code_digest: digests.digest(canonicalClaimCode(code) as string),
            terms: key.seal(
              termsPlace(invitationId),
              paddedJson({ as: wanted, expiresAtMs } satisfies Terms),
            ),
            expires_hour: new Date(Math.ceil(expiresAtMs / HOUR_MS) * HOUR_MS),
          })
          .execute()
        await d.householdLog.append(tx, householdId, { kind: 'invited', by: accountId, role: wanted.role })
        if (mailTo) await d.notify(tx, { about: 'invitation', to: mailTo, householdId, code })
      })
      return { invitation, code }
    },

    async invitations(accountId, householdId) {
      const member = await d.memberships.of({ accountId, householdId })
      if (!member.householdKeyId || !mayActInHousehold(member, 'configure', now())) {
        throw new AppError('not_found')
      }
      const rows = await d.database.queries
        .withTables<RegistryTables>()
        .selectFrom('registry.invitation')
        .select(['invitation_id', 'inviter', 'terms'])
        .where('household_id', '=', householdId)
        .where('expires_hour', '>', new Date(now()))
        .where(beforeNoReset('household_id'))
        .orderBy('expires_hour')
        .orderBy('invitation_id')
        .execute()
      const key = await d.keys.open(member.householdKeyId)
      return rows
        .map((row) => ({ invitationId: row.invitation_id, by: row.inviter, ...openTerms(key, row) }))
        .filter(({ expiresAtMs }) => expiresAtMs > now())
    },

    async revokeInvitation({ accountId, householdId, invitationId }) {
      await d.database.transaction(async (tx) => {
        const member = await d.memberships.of({ accountId, householdId }, tx)
        const row = await tx
          .withTables<RegistryTables>()
          .deleteFrom('registry.invitation')
          .where('invitation_id', '=', invitationId)
          .where('household_id', '=', householdId)
          .returning(['invitation_id', 'inviter', 'terms'])
          .executeTakeFirst()
        if (!row || !member.householdKeyId) throw new AppError('not_found')
        const { as } = openTerms(await d.keys.open(member.householdKeyId, tx), row)
        if (!mayInvite(member, as.role, now())) throw new AppError('not_found')
        await d.householdLog.append(tx, householdId, { kind: 'invitation_revoked', by: accountId })
      })
    },

    async acceptInvitation(accountId, code) {
      const canonical = canonicalClaimCode(code)
      const found =
        canonical !== undefined &&
        (await d.database.queries
          .withTables<RegistryTables>()
          .selectFrom('registry.invitation')
          .select(['invitation_id', 'household_id'])
          .where('code_digest', 'in', digests.digests(canonical))
          .executeTakeFirst())
      if (!found) throw refused()
      const { household_id: householdId, invitation_id: invitationId } = found
      await d.database.transaction(async (tx) => {
        await roomForAnother(tx, accountId)
        await lockHousehold(tx, householdId)
        await use(tx, accountId, householdId, invitationId)
      })
      d.changes.access({ householdId })
      return householdId
    },
  }
}

/** One answer for unknown, expired, used, revoked, and an inviter who may not invite any more. */
function refused(): AppError {
  return new AppError('code_refused')
}

/** @throws AppError invalid_request with what to change */
export function checkNewRole(as: NewRole, nowMs: number): NewRole {
  if (as.role === 'adult') return { role: 'adult' }
  checkGuestSchedule(as.guest.schedule, nowMs)
  return {
    role: 'guest',
    guest: { schedule: as.guest.schedule, devices: checkDeviceGrants(as.guest.devices) },
  }
}

/** What is named now must be held now: a slip is told at once. @throws AppError not_found */
async function refuseUnheld(
  tx: Tx,
  householdId: HouseholdId,
  { guest }: Extract<NewRole, { role: 'guest' }>,
): Promise<void> {
  if (guest.devices.length === 0) return
  const rows = await tx
    .withTables<RegistryTables>()
    .selectFrom('registry.tenure')
    .select('device_id')
    .where('household_id', '=', householdId)
    .where('ended_hour', 'is', null)
    .where(
      'device_id',
      'in',
      guest.devices.map(({ deviceId }) => deviceId),
    )
    .execute()
  if (rows.length !== guest.devices.length) throw new AppError('not_found')
}
