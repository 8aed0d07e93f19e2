import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type HouseholdId,
  type Tx,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { AccessGrants } from './access-grants.ts'
import type { MemberRole } from './acts.ts'
import type { Changes } from './changes.ts'
import type { GuestSchedule } from './guest-schedule.ts'
import type { HouseholdLog } from './household-log.ts'
import { checkNewRole } from './invitations.ts'
import { type Membership, type Memberships, schedulePlace } from './memberships.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import type { Member, NewRole, People } from './people-face.ts'
import { mayActInHousehold, mayRuleOver } from './standing.ts'
import type { RegistryTables } from './tables.ts'

export type Members = Pick<People, 'members' | 'changeMember' | 'removeMember' | 'handOver'>

interface Request {
  accountId: AccountId
  householdId: HouseholdId
  memberId: AccountId
}

export interface MembersOptions {
  database: Database
  keys: Keys
  clock: Clock
  memberships: Memberships
  grants: AccessGrants
  householdLog: HouseholdLog
  changes: Changes
}

export function createMembers(d: MembersOptions): Members {
  const now = () => d.clock.nowMs()

  /** The household's row is locked first: of two owners who leave at once, the second finds itself the last. */
  async function change(
    { accountId, householdId, memberId }: Request,
    work: (tx: Tx, actor: Membership, member: Membership & { role: MemberRole }) => Promise<void>,
  ): Promise<void> {
    await d.database.transaction(async (tx) => {
      const actor = await d.memberships.of({ accountId, householdId }, tx)
      const member = await d.memberships.of({ accountId: memberId, householdId }, tx)
      if (!actor.role || !member.role) throw new AppError('not_found')
      await work(tx, actor, { ...member, role: member.role })
    })
    d.changes.access({ householdId })
  }

  async function setRole(
    tx: Tx,
    of: Request,
    to: NewRole | { role: 'owner' },
    key: Membership,
  ): Promise<void> {
    const { householdId, memberId } = of
    const terms =
      to.role === 'guest' && key.householdKeyId
        ? (await d.keys.open(key.householdKeyId, tx)).seal(
            schedulePlace(householdId, memberId),
            paddedJson(to.guest.schedule),
          )
        : null
    await tx
      .withTables<RegistryTables>()
      .updateTable('registry.member')
      .set({ role: to.role, terms })
      .where('household_id', '=', householdId)
      .where('account_id', '=', memberId)
      .execute()
    const devices = to.role === 'guest' ? to.guest.devices : []
    await d.grants.give(tx, { householdId, accountId: memberId, grantee: 'guest', devices })
  }

  return {
    async members(accountId, householdId) {
      const member = await d.memberships.of({ accountId, householdId })
      const { householdKeyId } = member
      if (!householdKeyId || !mayActInHousehold(member, 'history', now())) throw new AppError('not_found')
      const rows = await d.database.queries
        .withTables<RegistryTables>()
        .selectFrom('registry.member')
        .select(['account_id', 'role', 'terms'])
        .where('household_id', '=', householdId)
        .orderBy('role', 'desc')
        .orderBy('account_id')
        .execute()
      const grants = await d.grants.list(householdId, 'guest')
      const key = await d.keys.open(householdKeyId)
      return rows.map(({ account_id, role, terms }): Member => {
        if (role !== 'guest' || !terms) return { accountId: account_id, role }
        const schedule = parseJson<GuestSchedule>(key.unseal(schedulePlace(householdId, account_id), terms))
        const devices = grants
          .filter((grant) => grant.accountId === account_id)
          .map(({ deviceId, acts }) => ({ deviceId, acts }))
        return { accountId: account_id, role, guest: { schedule, devices } }
      })
    },

    async changeMember(request) {
      const to = checkNewRole(request.to, now())
      await change(request, async (tx, actor, member) => {
        if (!mayRuleOver(actor, [member.role, to.role], now())) throw new AppError('not_found')
        if (member.role === 'owner') throw ownersDecide()
        await setRole(tx, request, to, member)
        const about = { by: request.accountId, account: request.memberId }
        await d.householdLog.append(
          tx,
          request.householdId,
          member.role === 'guest' && to.role === 'guest'
            ? { kind: 'guest_changed', ...about }
            : { kind: 'role_changed', ...about, from: member.role, to: to.role },
        )
        await endInvitations(tx, request)
      })
    },

    async removeMember(request) {
      const { accountId, householdId, memberId } = request
      await change(request, async (tx, actor, member) => {
        const leaves = accountId === memberId
        if (leaves ? actor.heldBack : !mayRuleOver(actor, [member.role], now()))
          throw new AppError('not_found')
        if (!leaves && member.role === 'owner') throw ownersDecide()
        if (member.role === 'owner') await refuseLastOwner(tx, request)
        await endMembership(tx, d.grants, request)
        await d.householdLog.append(
          tx,
          householdId,
          leaves
            ? { kind: 'left', account: memberId }
            : { kind: 'removed', by: accountId, account: memberId, role: member.role },
        )
      })
    },

    async handOver(request) {
      const { accountId, householdId, memberId, remains } = request
      await change(request, async (tx, actor, member) => {
        if (!mayActInHousehold(actor, 'manage', now()) || accountId === memberId)
          throw new AppError('not_found')
        if (member.role === 'guest') {
          throw new AppError('conflict', {
            message: 'A guest cannot own the household. Make them an adult first.',
          })
        }
        await setRole(tx, request, { role: 'owner' }, member)
        if (remains === 'adult') {
          const self = { ...request, memberId: accountId }
          await setRole(tx, self, { role: 'adult' }, actor)
          await endInvitations(tx, self)
        }
        await d.householdLog.append(tx, householdId, {
          kind: 'handed_over',
          by: accountId,
          account: memberId,
          remains,
        })
      })
    },
  }
}

/** @throws AppError conflict: without an owner nobody could let anybody in or a device go */
async function refuseLastOwner(tx: Tx, { householdId, memberId }: Request): Promise<void> {
  const other = await tx
    .withTables<RegistryTables>()
    .selectFrom('registry.member')
    .select('account_id')
    .where('household_id', '=', householdId)
    .where('role', '=', 'owner')
    .where('account_id', '!=', memberId)
    .limit(1)
    .executeTakeFirst()
  if (!other) {
    throw new AppError('conflict', {
      message: 'The last owner cannot leave. Hand the home over first.',
    })
  }
}

/** Membership, grants and open invitations of one member. The caller holds the household's lock. */
export async function endMembership(
  tx: Tx,
  grants: AccessGrants,
  of: Pick<Request, 'householdId' | 'memberId'>,
): Promise<void> {
  await grants.end(tx, of.householdId, of.memberId)
  await endInvitations(tx, of)
  await tx
    .withTables<RegistryTables>()
    .deleteFrom('registry.member')
    .where('household_id', '=', of.householdId)
    .where('account_id', '=', of.memberId)
    .execute()
}

/** Whoever may invite no longer, or as another than before, leaves no invitation behind. */
async function endInvitations(
  tx: Tx,
  { householdId, memberId }: Pick<Request, 'householdId' | 'memberId'>,
): Promise<void> {
  await tx
    .withTables<RegistryTables>()
    .deleteFrom('registry.invitation')
    .where('household_id', '=', householdId)
    .where('inviter', '=', memberId)
    .execute()
}

function ownersDecide(): AppError {
  return new AppError('conflict', {
    message: 'An owner can only leave, or hand over, by their own decision.',
  })
}
