import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type AccountId, newId, Personal, Secret } from '../../src/core/index.ts'
import type { RawClient } from './raw-client.ts'
import { createWorld, type TestDevice, type World } from './world.ts'

const leave = (id: string) => ({ 'BasicInformation.Leave': { FabricIndex: 1 }, $id: id })

describe('a device that was reset', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld()
  })
  afterAll(() => world.close())

  async function puback(client: RawClient, device: TestDevice, payload: object): Promise<number> {
    client.publish(device.topic('events'), payload)
    const { reasonCode } = await client.next('puback')
    return reasonCode ?? 0
  }

  async function claimElsewhere(device: TestDevice) {
    const accountId = newId<AccountId>()
    const { householdId } = await world.registry.createHousehold(accountId, { name: new Personal('Other') })
    return world.registry.claim({ accountId, householdId, code: device.claimCode })
  }

  it('says so in its tenure, is acknowledged, and then its session and tenure have ended', async () => {
    const device = await world.held()
    const client = await world.session(device)
    // What it sends at once after it, here in the same bytes, is of no tenure any more.
    client.socket.cork()
    client.publish(device.topic('events'), leave('one'))
    client.publish(device.topic('attributes'), { 'OnOff.OnOff': true }, { messageId: 2 })
    client.socket.uncork()
    expect((await client.next('puback')).reasonCode ?? 0).toBe(0)
    expect((await client.next('disconnect')).reasonCode).toBe(0x98)
    await client.closed
    expect(await world.registry.currentTenure(device.deviceId)).toBeUndefined()
    const { rows } = await world.database.pool.query(
      'select kind from stream.record where tenure_id = $1 and kind <> 4',
      [device.tenure.tenureId],
    )
    expect(rows).toEqual([{ kind: 2 }])
    const again = await world.session(device)
    await claimElsewhere(device)
    again.socket.destroy()
  })

  it('and did not see the answer says it again, after another household took it: nothing happens', async () => {
    const device = await world.held()
    const first = await world.session(device)
    expect(await puback(first, device, leave('lost'))).toBe(0)
    await first.closed
    const again = await world.session(device)
    const next = await claimElsewhere(device)
    expect(await puback(again, device, leave('lost'))).toBe(0)
    expect(await world.registry.currentTenure(device.deviceId)).toEqual(next)
    expect(await world.published(device)).toEqual([])
    // Not a word about the device's own life is lost by it.
    expect(await puback(again, device, { 'Switch.InitialPress': { NewPosition: 1 } })).toBe(0)
    expect(await world.published(device)).toHaveLength(1)
    again.socket.destroy()
  })

  it('while nobody holds it opens another claim', async () => {
    const device = await world.held()
    await world.registry.release({
      accountId: world.accountId,
      deviceId: device.deviceId,
      history: 'kept',
    })
    const client = await world.session(device)
    await expect(claimElsewhere(device)).rejects.toThrow('This claim code cannot be used')
    expect(await puback(client, device, leave(randomUUID()))).toBe(0)
    const tenure = await claimElsewhere(device)
    await vi.waitFor(async () => expect(await world.availability(device)).toHaveLength(1))
    expect(await world.registry.currentTenure(device.deviceId)).toEqual(tenure)
    client.socket.destroy()
  })

  it('brings a new claim code, which no record keeps, and the label’s is void', async () => {
    const device = await world.held()
    const client = await world.session(device)
    const claimCode = '0123456789ABCDEFGHJK'
    expect(await puback(client, device, { ...leave('fresh'), $claimCode: claimCode })).toBe(0)
    await client.closed
    const stored = await world.stored(device, device.tenure)
    expect(stored.flatMap(({ kind, payload }) => (kind === 'events' ? payload : []))).toEqual([
      leave('fresh'),
    ])
    const again = await world.session(device)
    await expect(claimElsewhere(device)).rejects.toMatchObject({ code: 'claim_refused' })
    await claimElsewhere({ ...device, claimCode: new Secret(claimCode) })
    again.socket.destroy()
  })

  it('says it alone and with an id, or is told what is missing', async () => {
    const device = await world.held()
    const client = await world.session(device)
    const refused = [
      { 'BasicInformation.Leave': { FabricIndex: 1 } },
      { ...leave('x'), 'Switch.InitialPress': { NewPosition: 1 } },
      { 'BasicInformation.Leave': { FabricIndex: 'one' }, $id: 'x' },
      { ...leave('x'), $claimCode: '0123456789ABCDEF' },
      { ...leave('x'), $claimCode: 20 },
      { 'Switch.InitialPress': { NewPosition: 1 }, $claimCode: '0123456789ABCDEFGHJK' },
    ]
    for (const payload of refused) expect(await puback(client, device, payload)).toBe(0x99)
    expect(await world.registry.currentTenure(device.deviceId)).toEqual(device.tenure)
    client.socket.destroy()
  })

  it('says nothing for another device', async () => {
    const [device, other] = [await world.held(), await world.held()]
    const client = await world.session(device)
    client.publish(other.topic('events'), leave('x'))
    expect((await client.next('puback')).reasonCode).toBe(0x87)
    expect(await world.registry.currentTenure(other.deviceId)).toEqual(other.tenure)
    client.socket.destroy()
  })
})
