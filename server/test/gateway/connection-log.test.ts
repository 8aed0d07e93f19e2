import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DeviceId, newId } from '../../src/core/index.ts'
import { createConnectionLog } from '../../src/gateway/index.ts'
import { connectDevice, provisionDevice, type Rooms, startRooms } from '../support/start-rooms.ts'

const HOUR_MS = 3_600_000

describe('attempts to connect', () => {
  let rooms: Rooms
  const clock = { ms: Date.UTC(2026, 4, 1, 10, 59), nowMs: () => clock.ms }
  beforeAll(async () => {
    rooms = await startRooms()
  })
  afterAll(() => rooms.close())

  const open = () => createConnectionLog({ ...rooms, clock, log: rooms.log })

  it('are counted by model, firmware and outcome, of nobody in particular', async () => {
    const device = await provisionDevice(rooms, 'hearth-lock')
    const log = open()
    log.told(device.deviceId, 204)
    for (const outcome of ['accepted', 'accepted', 'credentials'] as const)
      log.attempted(device.deviceId, outcome)
    log.attempted(newId<DeviceId>(), 'credentials')
    log.attempted(undefined, 'protocol')
    await log.flush()
    const rows = await log.after(0, 100)
    const of = { hourMs: clock.ms - (clock.ms % HOUR_MS) }
    expect(rows.map(({ seq: _, ...row }) => row)).toEqual([
      { ...of, model: 'hearth-lock', firmware: '204', outcome: 'accepted', count: 2 },
      { ...of, model: 'hearth-lock', firmware: '204', outcome: 'credentials', count: 1 },
      { ...of, model: 'unknown', firmware: '', outcome: 'credentials', count: 1 },
      { ...of, model: 'unknown', firmware: '', outcome: 'protocol', count: 1 },
    ])
    expect(await log.after(2, 1)).toMatchObject([{ seq: 3 }])
    expect(await log.firmware([device.deviceId])).toEqual(new Map([[device.deviceId, '204']]))
    // Not even one's id stands beside a count.
    expect(Object.keys(rows[0] ?? {}).sort()).toEqual([
      'count',
      'firmware',
      'hourMs',
      'model',
      'outcome',
      'seq',
    ])
  })

  it('count for the hour in which they are written, so that an hour that is over does not change', async () => {
    const log = open()
    const before = await log.head()
    log.attempted(undefined, 'rate')
    clock.ms += 2 * 60_000
    await log.flush()
    expect(await log.after(before, 10)).toMatchObject([
      { hourMs: clock.ms - (clock.ms % HOUR_MS), outcome: 'rate' },
    ])
  })

  it('are in one order without gaps, from any number of nodes', async () => {
    const before = await open().head()
    const nodes = Array.from({ length: 5 }, open)
    for (const node of nodes) node.attempted(undefined, 'server')
    await Promise.all(nodes.map((node) => node.flush()))
    const rows = await open().after(before, 100)
    expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5].map((n) => before + n))
  })

  it('take bounded memory, however many devices strangers name', async () => {
    const log = open()
    const before = await log.head()
    for (let n = 0; n < 20_500; n += 1) log.attempted(newId<DeviceId>(), 'credentials')
    await log.flush()
    const rows = await log.after(before, 100)
    expect(rows).toMatchObject([{ model: 'unknown', outcome: 'credentials', count: 20_500 }])
  })

  it('are counted at the door: those let in, and those with a wrong password', async () => {
    const log = open()
    const before = await log.head()
    const device = await provisionDevice(rooms, 'hearth-bulb')
    const client = await connectDevice(rooms, device)
    await client.endAsync()
    const { password: _, ...stranger } = device
    await expect(connectDevice(rooms, stranger)).rejects.toThrow()
    await rooms.connections.flush()
    const rows = (await log.after(before, 100)).filter(({ model }) => model === 'hearth-bulb')
    expect(rows.map(({ outcome, count }) => [outcome, count])).toEqual([
      ['accepted', 1],
      ['credentials', 1],
    ])
  })
})
