import { createPrivateKey, randomUUID, sign } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccountId, type HouseholdId, newId } from '../../src/core/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import { createWorld, definition, refusal, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

async function reset(
  o: { devices?: boolean; codes?: boolean; householdIds?: HouseholdId[] } = {},
): Promise<string> {
  const { devices = true, codes = true, householdIds } = o
  const resetId = randomUUID()
  const { resets } = world.registry
  await world.database.transaction(async (tx) => {
    await resets.stage(tx, resetId, householdIds ?? [])
    await resets.void(tx, { resetId, devices, codes, listed: householdIds !== undefined })
  })
  return resetId
}

/** Signed by the device, as it says `atMs`. */
function token({ deviceId, privateKeyPem }: ProvisionedDevice, atMs: number): string {
  const iat = Math.floor(atMs / 1000)
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = `${part({ alg: 'ES256' })}.${part({ sub: deviceId, aud: 'hearthlock', iat, exp: iat + 600 })}`
  const key = createPrivateKey(privateKeyPem?.reveal() ?? '')
  return `${body}.${sign('sha256', Buffer.from(body), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

const verify = (device: ProvisionedDevice, jwt: string) =>
  refusal(world.registry.verifyDeviceToken(device.deviceId, jwt))

describe('after a reset, a token that a device has signed', () => {
  it('before it is refused, and one that is surely later is accepted', async () => {
    const device = await world.provisionOne('hearth-bulb')
    const before = token(device, world.time.nowMs)
    expect(await verify(device, before)).toBeUndefined()
    await reset()
    world.time.nowMs += 1_000
    expect(await verify(device, before)).toBe('unauthenticated')
    world.time.nowMs += 61_000
    expect(await verify(device, before)).toBe('unauthenticated')
    expect(await verify(device, token(device, world.time.nowMs))).toBeUndefined()
  })

  it('before it by a clock that is ahead is refused: whoever copied it cannot use it later', async () => {
    const device = await world.provisionOne('hearth-bulb')
    const ahead = token(device, world.time.nowMs + 59_000)
    expect(await verify(device, ahead)).toBeUndefined()
    await reset()
    for (let minute = 0; minute < 5; minute++) {
      expect(await verify(device, ahead)).toBe('unavailable')
      world.time.nowMs += 60_000
    }
  })

  it('is asked for of the households that it reaches only', async () => {
    const [mine, other] = [await world.provisionOne('hearth-bulb'), await world.provisionOne('hearth-bulb')]
    const { accountId, household } = await world.settle()
    world.online.add(mine.deviceId)
    await world.registry.claim({ accountId, householdId: household.householdId, code: mine.claimCode })
    const tokens = [mine, other].map((device) => token(device, world.time.nowMs))
    await reset({ householdIds: [household.householdId] })
    expect(await verify(mine, tokens[0] as string)).toBe('unauthenticated')
    expect(await verify(other, tokens[1] as string)).toBeUndefined()
  })

  it('stays good where devices are not reset', async () => {
    const device = await world.provisionOne('hearth-bulb')
    world.time.nowMs += 120_000
    const before = token(device, world.time.nowMs)
    await reset({ devices: false })
    expect(await verify(device, before)).toBeUndefined()
  })
})

describe('after a reset, a key pair', () => {
  it('is asked for anew when the device comes, where its model can do that, and once', async () => {
    const rotating = { ...definition('hearth-bulb'), name: 'rotating-bulb', credentialRotation: true }
    const { id } = await world.registry.addModel(rotating)
    const [device] = await world.registry.provision({ modelId: id, count: 1 }, { withPassword: true })
    const come = async () => {
      const made = device as ProvisionedDevice
      return (await world.registry.verifyDevicePassword(made.deviceId, made.password?.reveal() ?? ''))
        .rotationDue
    }
    expect(await come()).toBe(false)
    await reset()
    expect(await come()).toBe(true)
    expect(await world.registry.isRotationDue((device as ProvisionedDevice).deviceId)).toBe(true)
    await world.database.pool.query('update registry.device set rotation_due = false')
    expect(await come()).toBe(false)
    await reset({ devices: false })
    expect(await come()).toBe(false)
    await reset()
    expect(await come()).toBe(true)
    // Made since: there is nothing of before.
    const [fresh] = await world.registry.provision({ modelId: id, count: 1 }, { withPassword: true })
    const { deviceId, password } = fresh as ProvisionedDevice
    expect((await world.registry.verifyDevicePassword(deviceId, password?.reveal() ?? '')).rotationDue).toBe(
      false,
    )
  })

  it('stays where the model cannot replace it, and its password is listed', async () => {
    const plain = { ...definition('hearth-bulb'), name: 'plain-bulb', credentialRotation: false }
    const { id } = await world.registry.addModel(plain)
    const made = await world.registry.provision({ modelId: id, count: 1 }, { withPassword: true })
    const device = made[0] as ProvisionedDevice
    await reset()
    const password = device.password?.reveal() ?? ''
    expect(await world.registry.verifyDevicePassword(device.deviceId, password)).toMatchObject({
      rotationDue: false,
    })
    const listed = await world.registry.resets.keepingPasswords({ limit: 1_000 })
    expect(listed).toContain(device.deviceId)
    const { keepingPasswords } = await world.registry.resets.count({
      devices: true,
      codes: false,
      listed: false,
    })
    expect(listed).toHaveLength(keepingPasswords)
    expect(await world.registry.resets.keepingPasswords({ after: listed.at(-1), limit: 5 })).toEqual([])
  })
})

describe('after a reset, the code of', () => {
  const invite = async (by: { accountId: AccountId; household: { householdId: HouseholdId } }) =>
    await world.registry.invite({
      accountId: by.accountId,
      householdId: by.household.householdId,
      as: { role: 'adult' },
      hours: 24,
    })

  it('an invitation is refused and not shown, and takes nobody’s place', async () => {
    const home = await world.settle()
    const { householdId } = home.household
    const invitations = await Promise.all(Array.from({ length: 20 }, () => invite(home)))
    expect(await refusal(invite(home))).toBe('conflict')
    await reset({ devices: false })
    for (const { code } of invitations.slice(0, 2)) {
      expect(await refusal(world.registry.acceptInvitation(newId<AccountId>(), code))).toBe('code_refused')
    }
    expect(await world.registry.invitations(home.accountId, householdId)).toEqual([])
    const { code } = await invite(home)
    expect(await refusal(world.registry.acceptInvitation(newId<AccountId>(), code))).toBeUndefined()
  })

  it('an invitation of another household is good still', async () => {
    const [mine, other] = [await world.settle(), await world.settle()]
    const [first, second] = [await invite(mine), await invite(other)]
    await reset({ householdIds: [mine.household.householdId] })
    expect(await refusal(world.registry.acceptInvitation(newId<AccountId>(), first.code))).toBe(
      'code_refused',
    )
    expect(await refusal(world.registry.acceptInvitation(newId<AccountId>(), second.code))).toBeUndefined()
  })

  it('a transfer is refused and not shown, until there is another offer', async () => {
    const [from, to] = [await world.settle(), await world.settle()]
    const device = await world.provisionOne('hearth-bulb')
    world.online.add(device.deviceId)
    const { accountId } = from
    const { deviceId } = device
    await world.registry.claim({ accountId, householdId: from.household.householdId, code: device.claimCode })
    const offer = () => world.registry.offerTransfer({ accountId, deviceId, history: 'kept' })
    const accept = (code: Awaited<ReturnType<typeof offer>>['code']) =>
      refusal(
        world.registry.acceptTransfer({
          accountId: to.accountId,
          householdId: to.household.householdId,
          code,
        }),
      )
    const { code } = await offer()
    await reset({ devices: false })
    expect(await world.registry.transferOffer(accountId, deviceId)).toBeUndefined()
    expect(await accept(code)).toBe('code_refused')
    const again = await offer()
    expect(await world.registry.transferOffer(accountId, deviceId)).toBeTruthy()
    expect(await accept(again.code)).toBeUndefined()
  })

  it('a support operator is refused', async () => {
    const home = await world.settle()
    const { code } = await world.registry.requestSupportAccess(newId<AccountId>())
    const give = { accountId: home.accountId, householdId: home.household.householdId, code, devices: [] }
    await reset({ devices: false })
    expect(await refusal(world.registry.giveSupportAccess({ ...give, acts: ['view'], hours: 1 }))).toBe(
      'code_refused',
    )
  })

  it('is counted before as it then happens', async () => {
    const home = await world.settle()
    await reset()
    await invite(home)
    await invite(home)
    const reach = { devices: false, codes: true, listed: false }
    expect(await world.registry.resets.count(reach)).toMatchObject({ invitations: 2, transfers: 0 })
    await reset()
    expect(await world.registry.resets.count(reach)).toMatchObject({ invitations: 0, transfers: 0 })
  })
})
