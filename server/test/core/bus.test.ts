import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Bus, type BusOptions, createBus, openDatabase, silentLog } from '../../src/core/index.ts'
import { createTestDatabase } from '../support/database.ts'
import { createTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

let database: Awaited<ReturnType<typeof createTestDatabase>>
let proxy: TcpProxy
const open: { close(): Promise<void> }[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  proxy = await createTcpProxy(database.url)
})
afterEach(async () => {
  proxy.heal()
  for (const each of open.splice(0).reverse()) await each.close()
})
afterAll(async () => {
  await proxy.close()
  await database.drop()
})

async function startBus(options: Partial<BusOptions> = {}): Promise<Bus> {
  const bus = createBus({ database, log: silentLog, beatMs: 20, ...options })
  open.push(bus)
  await bus.start()
  return bus
}

/** A bus behind the proxy, with a connection pool of its own there. */
async function startCutOffBus(options: Partial<BusOptions> = {}): Promise<Bus> {
  const behind = openDatabase({ connection: { connectionString: proxy.url }, log: silentLog })
  open.push(behind)
  return startBus({ database: behind, leaseMs: 300, ...options })
}

function heardBy(bus: Bus): string[] {
  const heard: string[] = []
  bus.subscribe('test.topic', ({ payload, own }) => void heard.push(own ? `own ${payload}` : payload))
  return heard
}

describe('the bus', () => {
  it('every process hears, its own included', async () => {
    const [one, two] = [await startBus(), await startBus()]
    const heard = [heardBy(one), heardBy(two)]
    await one.publish(undefined, 'test.topic', 'a')
    await vi.waitFor(() => expect(heard).toEqual([['own a'], ['a']]))
  })

  it('what a transaction publishes is heard at its commit, and never when it rolls back', async () => {
    const [one, two] = [await startBus(), await startBus()]
    const heard = heardBy(two)
    const rolledBack = database.transaction(async (tx) => {
      await one.publish(tx, 'test.topic', 'never')
      throw new Error('rolled back')
    })
    await expect(rolledBack).rejects.toThrow('rolled back')
    await database.transaction(async (tx) => {
      await one.publish(tx, 'test.topic', 'in order')
      await two.publish(undefined, 'test.topic', 'before the commit')
      await vi.waitFor(() => expect(heard).toEqual(['own before the commit']))
    })
    await vi.waitFor(() => expect(heard).toEqual(['own before the commit', 'in order']))
  })

  it('what is malformed or too long is not sent, and not heard', async () => {
    const bus = await startBus()
    const heard = heardBy(bus)
    await expect(bus.publish(undefined, 'test.topic', 'x'.repeat(401))).rejects.toMatchObject({
      code: 'internal',
    })
    await expect(bus.publish(undefined, 'Test', 'x')).rejects.toMatchObject({ code: 'internal' })
    for (const message of ['', 'nonsense', '- test.topic two\nlines'])
      await database.pool.query('select pg_notify($1, $2)', ['hearthlock_bus', message])
    await bus.publish(undefined, 'test.topic', 'good')
    await vi.waitFor(() => expect(heard).toEqual(['own good']))
    expect(bus.stats().bus_hints_ignored_total).toBe(3)
  })

  it('processes learn of each other, and one that is alone knows it', async () => {
    const one = await startBus()
    expect(one.alone).toBe(false)
    await vi.waitFor(() => expect(one.alone).toBe(true))
    const two = await startBus()
    await vi.waitFor(() =>
      expect([one.heard(two.node, 1_000), two.heard(one.node, 1_000)]).toEqual([true, true]),
    )
    expect(one.alone).toBe(false)
  })
})

describe('the lease', () => {
  it('is not renewed before what was heard has taken effect', async () => {
    let nowMs = 0
    const bus = await startBus({ monotonicMs: () => nowMs })
    const { promise, resolve } = Promise.withResolvers<void>()
    const follow = vi.fn(() => promise)
    bus.subscribe('test.topic', follow)
    await bus.publish(undefined, 'test.topic', 'a')
    await vi.waitFor(() => expect(follow).toHaveBeenCalled())
    const beats = async () => {
      const { bus_hints_heard_total: before = 0 } = bus.stats()
      await vi.waitFor(() => expect(bus.stats().bus_hints_heard_total).toBeGreaterThan(before + 2))
    }
    await beats()
    nowMs = 2_999
    expect(bus.lease.holds()).toBe(true)
    nowMs = 3_000
    await beats()
    expect(bus.lease.holds()).toBe(false)
    expect(() => bus.lease.require()).toThrow(expect.objectContaining({ code: 'unavailable' }))
    resolve()
    await vi.waitFor(() => expect(bus.lease.holds()).toBe(true))
    expect(bus.lease.term).toBe(1)
  })

  it('a hint that could not be followed makes everything be read again first', async () => {
    const bus = await startBus()
    const readAgain = vi.fn(async () => {})
    bus.onGap(readAgain)
    bus.subscribe('test.topic', async () => {
      throw new Error('the database is away')
    })
    await bus.publish(undefined, 'test.topic', 'a')
    await vi.waitFor(() => expect(readAgain).toHaveBeenCalledOnce())
    expect(bus.lease.holds()).toBe(true)
  })

  for (const mark of [undefined, 'hearthlock-bus'])
    it(`a process whose ${mark ? 'listening connection swallows' : 'connections swallow'} everything refuses, and reads again before it goes on`, async () => {
      const bus = await startCutOffBus()
      const lapsed = vi.fn()
      bus.lease.onLapse(lapsed)
      const release = Promise.withResolvers<void>()
      const readAgain = vi.fn(() => release.promise)
      bus.onGap(readAgain)
      const heard = heardBy(bus)
      proxy.cut(mark)
      await database.pool.query('select pg_notify($1, $2)', ['hearthlock_bus', '- test.topic missed'])
      await vi.waitFor(() => expect(lapsed).toHaveBeenCalledOnce(), { timeout: 3_000 })
      expect(bus.lease.holds()).toBe(false)
      expect(heard).toEqual([])
      proxy.heal()
      await vi.waitFor(() => expect(readAgain).toHaveBeenCalled(), { timeout: 5_000 })
      expect(bus.lease.holds()).toBe(false)
      release.resolve()
      await vi.waitFor(() => expect(bus.lease.holds()).toBe(true), { timeout: 5_000 })
      expect(lapsed).toHaveBeenCalledOnce()
    })

  it('a connection that breaks is made anew within the lease, and what it may have missed is read', async () => {
    const bus = await startBus()
    const readAgain = vi.fn(async () => {})
    bus.onGap(readAgain)
    await database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'hearthlock-bus' and datname = current_database()`,
    )
    await vi.waitFor(() => expect(readAgain).toHaveBeenCalled())
    expect(bus.lease.holds()).toBe(true)
    expect(bus.lease.term).toBe(0)
    const heard = heardBy(bus)
    await bus.publish(undefined, 'test.topic', 'a')
    await vi.waitFor(() => expect(heard).toEqual(['own a']))
  })
})
