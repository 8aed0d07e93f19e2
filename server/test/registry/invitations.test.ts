import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccountId, newId, Secret } from '../../src/core/index.ts'
import { DAY_MS, guest, HOUR_MS, held, home, join } from './people.ts'
import { createWorld, refusal, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

const adult = { role: 'adult' } as const
const invite = (
  accountId: AccountId,
  householdId: Parameters<World['registry']['invite']>[0]['householdId'],
  as = adult as Parameters<World['registry']['invite']>[0]['as'],
) => world.registry.invite({ accountId, householdId, as, hours: 72 })

describe('an invitation', () => {
  it('brings one account in, once', async () => {
    const { owner, householdId } = await home(world)
    const { code } = await invite(owner, householdId)
    const [ada, eve] = [newId<AccountId>(), newId<AccountId>()]
    expect(await world.registry.acceptInvitation(ada, code)).toBe(householdId)
    expect(await world.registry.household(ada, householdId)).toMatchObject({ role: 'adult' })
    expect(await refusal(world.registry.acceptInvitation(eve, code))).toBe('code_refused')
    expect(await refusal(world.registry.household(eve, householdId))).toBe('not_found')
  })

  it('brings in only one of two who come at the same moment', async () => {
    const { owner, householdId } = await home(world)
    const { code } = await invite(owner, householdId)
    const other = await world.anotherRegistry()
    const outcomes = await Promise.all(
      [world.registry, other, world.registry, other].map((each) =>
        refusal(each.acceptInvitation(newId<AccountId>(), code)),
      ),
    )
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome === 'code_refused')).toHaveLength(3)
    expect(await world.registry.members(owner, householdId)).toHaveLength(2)
  })

  it('is read as it is typed, and refused alike when it is no code at all', async () => {
    const { owner, householdId } = await home(world)
    const { code } = await invite(owner, householdId)
    for (const wrong of ['', '0000-0000-0000-0000', `${code.reveal()}0`, 'x'.repeat(200)]) {
      expect(await refusal(world.registry.acceptInvitation(newId(), new Secret(wrong)))).toBe('code_refused')
    }
    const typed = new Secret(` ${code.reveal().toLowerCase().replaceAll('-', '')} `)
    expect(await world.registry.acceptInvitation(newId(), typed)).toBe(householdId)
  })

  it('ends by time', async () => {
    const { owner, householdId } = await home(world)
    const { code } = await world.registry.invite({ accountId: owner, householdId, as: adult, hours: 1 })
    world.time.nowMs += HOUR_MS
    expect(await refusal(world.registry.acceptInvitation(newId(), code))).toBe('code_refused')
    expect(await world.registry.invitations(owner, householdId)).toEqual([])
  })

  it('can be revoked, and is then refused', async () => {
    const { owner, householdId } = await home(world)
    const { code, invitation } = await invite(owner, householdId)
    expect(await world.registry.invitations(owner, householdId)).toEqual([invitation])
    const request = { accountId: owner, householdId, invitationId: invitation.invitationId }
    await world.registry.revokeInvitation(request)
    expect(await refusal(world.registry.acceptInvitation(newId(), code))).toBe('code_refused')
    expect(await refusal(world.registry.revokeInvitation(request))).toBe('not_found')
  })

  it('dies with its inviter: left, removed, demoted, held back', async () => {
    const ada = await home(world)
    const { householdId } = ada
    const ends: Record<string, (who: AccountId) => Promise<void>> = {
      left: (who) => world.registry.removeMember({ accountId: who, householdId, memberId: who }),
      removed: (who) => world.registry.removeMember({ accountId: ada.owner, householdId, memberId: who }),
      demoted: (who) =>
        world.registry.changeMember({ accountId: ada.owner, householdId, memberId: who, to: guest(world) }),
      'held back': (who) =>
        world.database.transaction((tx) => world.registry.holdBack(tx, who, world.time.nowMs + HOUR_MS)),
    }
    for (const [how, end] of Object.entries(ends)) {
      const bob = await join(world, ada, adult)
      const { code } = await invite(bob, householdId, guest(world))
      await end(bob)
      expect([how, await refusal(world.registry.acceptInvitation(newId(), code))]).toEqual([
        how,
        'code_refused',
      ])
    }
  })

  it('of an inviter who is held back stays dead when the hold has ended', async () => {
    const { owner, householdId } = await home(world)
    const { code } = await invite(owner, householdId)
    await world.database.transaction((tx) => world.registry.holdBack(tx, owner, world.time.nowMs + HOUR_MS))
    await world.database.transaction((tx) => world.registry.endHold(tx, owner))
    expect(await refusal(world.registry.acceptInvitation(newId(), code))).toBe('code_refused')
  })

  it('of an inviter who was demoted stays dead when they are an adult again', async () => {
    const ada = await home(world)
    const { owner, householdId } = ada
    const bob = await join(world, ada, adult)
    const { code } = await invite(bob, householdId, guest(world))
    for (const to of [guest(world), adult]) {
      await world.registry.changeMember({ accountId: owner, householdId, memberId: bob, to })
    }
    expect(await refusal(world.registry.acceptInvitation(newId(), code))).toBe('code_refused')
  })

  it('is refused by what its inviter is at that moment, whatever happened to the invitation', async () => {
    const ada = await home(world)
    const { code } = await invite(ada.owner, ada.householdId)
    await world.database.pool.query("update registry.member set role = 'adult' where account_id = $1", [
      ada.owner,
    ])
    expect(await refusal(world.registry.acceptInvitation(newId(), code))).toBe('code_refused')
  })

  it('is of its own household: moved to another one, it does not open', async () => {
    const ada = await home(world)
    const eve = await home(world)
    const { code, invitation } = await invite(eve.owner, eve.householdId)
    await world.database.pool.query(
      'update registry.invitation set household_id = $1, inviter = $2 where invitation_id = $3',
      [ada.householdId, ada.owner, invitation.invitationId],
    )
    expect(await refusal(world.registry.acceptInvitation(newId(), code))).toBe('integrity_failed')
  })

  it('gives a guest the devices that the household still holds, and no others', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const gone = await held(world, ada)
    const both = [lock, gone].map(({ deviceId }) => ({ deviceId, acts: ['view' as const] }))
    const { code } = await invite(ada.owner, ada.householdId, guest(world, both))
    await world.database.pool.query(
      'update registry.tenure set ended_hour = started_hour where tenure_id = $1',
      [gone.tenureId],
    )
    const bob = newId<AccountId>()
    await world.registry.acceptInvitation(bob, code)
    const seen = await world.registry.devices(bob, ada.householdId)
    expect(seen.map(({ deviceId }) => deviceId)).toEqual([lock.deviceId])
  })

  it('refuses devices that are not the household’s, ends that have passed, and hours beyond a week', async () => {
    const ada = await home(world)
    const eves = await held(world, await home(world))
    const named = guest(world, [{ deviceId: eves.deviceId, acts: ['view'] }])
    expect(await refusal(invite(ada.owner, ada.householdId, named))).toBe('not_found')
    const past = guest(world, [], { untilMs: world.time.nowMs })
    expect(await refusal(invite(ada.owner, ada.householdId, past))).toBe('invalid_request')
    for (const hours of [0, 169, 1.5]) {
      const request = { accountId: ada.owner, householdId: ada.householdId, as: adult, hours }
      expect(await refusal(world.registry.invite(request))).toBe('invalid_request')
    }
  })

  it('of a guest whose time passed before it was used is refused', async () => {
    const { owner, householdId } = await home(world)
    const { code } = await invite(
      owner,
      householdId,
      guest(world, [], { untilMs: world.time.nowMs + HOUR_MS }),
    )
    world.time.nowMs += HOUR_MS
    expect(await refusal(world.registry.acceptInvitation(newId(), code))).toBe('code_refused')
  })

  it('is for those who are not in yet, and for a guest whose time is over', async () => {
    const ada = await home(world)
    const bob = await join(world, ada, guest(world))
    const { code } = await invite(ada.owner, ada.householdId)
    expect(await refusal(world.registry.acceptInvitation(ada.owner, code))).toBe('conflict')
    expect(await refusal(world.registry.acceptInvitation(bob, code))).toBe('conflict')
    world.time.nowMs += 2 * DAY_MS
    expect(await world.registry.acceptInvitation(bob, code)).toBe(ada.householdId)
    expect(await world.registry.household(bob, ada.householdId)).toMatchObject({ role: 'adult' })
  })

  it('is made by owners for anybody, by adults for guests, by guests and strangers for nobody', async () => {
    const ada = await home(world)
    const bob = await join(world, ada, adult)
    const cleo = await join(world, ada, guest(world))
    expect(await refusal(invite(bob, ada.householdId))).toBe('not_found')
    expect(await refusal(invite(bob, ada.householdId, guest(world)))).toBeUndefined()
    for (const who of [cleo, newId<AccountId>()]) {
      expect(await refusal(invite(who, ada.householdId))).toBe('not_found')
      expect(await refusal(invite(who, ada.householdId, guest(world)))).toBe('not_found')
      expect(await refusal(world.registry.invitations(who, ada.householdId))).toBe('not_found')
    }
    const { invitation } = await invite(ada.owner, ada.householdId)
    const byBob = { accountId: bob, householdId: ada.householdId, invitationId: invitation.invitationId }
    expect(await refusal(world.registry.revokeInvitation(byBob))).toBe('not_found')
  })

  it('is one of a bounded number, and expired ones do not count', async () => {
    const { owner, householdId } = await home(world)
    const asked = Array.from({ length: 25 }, () => refusal(invite(owner, householdId)))
    expect((await Promise.all(asked)).filter((outcome) => outcome === 'conflict')).toHaveLength(5)
    world.time.nowMs += 73 * HOUR_MS
    expect(await refusal(invite(owner, householdId))).toBeUndefined()
  })
})
