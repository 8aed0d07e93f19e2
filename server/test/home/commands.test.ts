import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type AccountId, AppError, type CommandId, newId } from '../../src/core/index.ts'
import { createWorld, type Device, type Person, type World } from './support.ts'

let world: World
let ada: Person
let lock: Device
beforeAll(async () => {
  world = await createWorld({ openCommands: 5 })
})
afterAll(() => world.close())
beforeEach(async () => {
  ada = await world.person()
  lock = await world.device(ada)
  world.sent.length = 0
  world.hooks.authorize = undefined
})

const read = (id: CommandId) => world.home.command(ada.accountId, id)
const state = async (id: CommandId) => (await read(id)).state
const becomes = (id: CommandId, wanted: string) =>
  vi.waitFor(async () => expect(await state(id)).toBe(wanted), { timeout: 5_000 })
const probes = new Set<CommandId>()
const sent = () => world.sent.filter(({ commandId }) => !probes.has(commandId))
const sentIds = () => sent().map(({ commandId }) => commandId)
/** What was begun for a device has been done once a later request has gone through the device's lane. */
async function settled(...devices: Device[]) {
  for (const device of devices.length > 0 ? devices : [lock]) {
    const probe = await world.lock(ada, device)
    probes.add(probe.commandId)
    await world.append(device, 'results', { id: probe.commandId, status: 'SUCCESS' })
  }
  await world.applied()
}
async function answer(id: CommandId, result: object = { status: 'SUCCESS' }, from = lock) {
  await world.append(from, 'results', { id, ...result })
  await world.applied()
}

describe('the row of a command', () => {
  it('tells by no size, digest or id which command it was, whether it was asked before, or when', async () => {
    world.connect(lock)
    const ids: CommandId[] = []
    for (const command of ['DoorLock.LockDoor', 'DoorLock.UnlockDoor', 'DoorLock.LockDoor']) {
      const { commandId } = await world.lock(ada, lock, { command })
      ids.push(commandId)
      await answer(commandId)
    }
    const { rows } = await world.database.pool.query<Record<string, Buffer>>(
      'select request, outcome, request_digest from home.command where command_id = any($1::uuid[])',
      [ids],
    )
    expect(new Set(rows.map((row) => row.request?.length)).size).toBe(1)
    expect(new Set(rows.map((row) => row.outcome?.length)).size).toBe(1)
    expect(new Set(rows.map((row) => row.request_digest?.toString('hex'))).size).toBe(3)
    const events = await world.database.pool.query<{ length: number }>(
      'select distinct octet_length(sealed) as length from home.timeline where tenure_id = $1 and kind = 5',
      [lock.tenure.tenureId],
    )
    expect(events.rows).toHaveLength(1)
    // UUID version 4: a version 7 begins with the time.
    for (const id of ids) expect(id[14]).toBe('4')
  })
})

describe('a command to a connected device', () => {
  it('is sent at once, delivered when the device acknowledges, and ends with its result', async () => {
    world.connect(lock)
    const asked = await world.lock(ada, lock)
    expect(asked).toMatchObject({
      state: 'queued',
      command: 'DoorLock.LockDoor',
      requestedAtMs: world.clock.ms,
    })
    expect(world.sent[0]).toMatchObject({
      deviceId: lock.deviceId,
      tenureId: lock.tenure.tenureId,
      message: {
        id: asked.commandId,
        command: 'DoorLock.LockDoor',
        endpoint: 1,
        arguments: {},
        expiresAt: new Date(world.clock.ms + 60_000).toISOString(),
      },
    })
    expect(asked).not.toHaveProperty('deliveredAtMs')
    world.acknowledge(lock, asked.commandId)
    await becomes(asked.commandId, 'delivered')
    expect(await read(asked.commandId)).toMatchObject({ deliveredAtMs: world.clock.ms })
    await answer(asked.commandId)
    expect(await read(asked.commandId)).toMatchObject({
      state: 'succeeded',
      status: 'SUCCESS',
      finishedAtMs: world.clock.ms,
    })
  })

  it('fails with the status that the device gave', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    await answer(commandId, { status: 'BUSY', response: {} })
    expect(await read(commandId)).toMatchObject({ state: 'failed', status: 'BUSY', response: {} })
  })

  it('is waited for until it ends, or until the time is up', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    const early = await world.home.waitForCommand(ada.accountId, commandId, 20)
    expect(early.state).toBe('queued')
    const waiting = world.home.waitForCommand(ada.accountId, commandId, 20_000)
    await answer(commandId)
    expect((await waiting).state).toBe('succeeded')
  })

  it('takes only the first result', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    await answer(commandId, { status: 'FAILURE' })
    await answer(commandId)
    world.acknowledge(lock, commandId)
    await settled()
    expect(await read(commandId)).toMatchObject({ state: 'failed', status: 'FAILURE' })
  })
})

describe('a result that changes nothing', () => {
  it.each([
    ['has no known status', { status: 'fine' }],
    ['has a status of another type', { status: 1 }],
    ['has no status', {}],
    ['has a response that is no object', { status: 'SUCCESS', response: [1] }],
  ])('%s', async (_, result) => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    await answer(commandId, result)
    expect(await state(commandId)).toBe('queued')
  })

  it("names another tenure's command", async () => {
    const other = await world.device(ada)
    world.connect(lock)
    world.connect(other)
    const { commandId } = await world.lock(ada, lock)
    await world.lock(ada, other)
    await answer(commandId, { status: 'SUCCESS' }, other)
    expect(await state(commandId)).toBe('queued')
  })

  it('is malformed in its id, or names no command', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    await answer('nothing' as CommandId)
    await answer(newId<CommandId>())
    await answer(commandId)
    expect(await state(commandId)).toBe('succeeded')
  })
})

describe('an acknowledgement', () => {
  it('of another device or another tenure delivers nothing', async () => {
    const other = await world.device(ada)
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    world.acknowledge(other, commandId)
    world.home.commandDelivered(commandId, lock.deviceId, other.tenure.tenureId)
    await settled(lock, other)
    expect(await state(commandId)).toBe('queued')
  })
})

describe('a request that is refused', () => {
  it('asks for what the model does not have', async () => {
    world.connect(lock)
    const refused = { code: 'command_refused' }
    await expect(world.lock(ada, lock, { command: 'OnOff.Toggle' })).rejects.toMatchObject(refused)
    await expect(world.lock(ada, lock, { arguments: { Colour: 1 } })).rejects.toMatchObject(refused)
    await expect(world.lock(ada, lock, { endpoint: 200 })).rejects.toMatchObject(refused)
    expect(world.sent).toEqual([])
  })

  it('comes from a stranger, or is read by one', async () => {
    const eve = await world.person()
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    await expect(world.lock(eve, lock)).rejects.toMatchObject({ code: 'not_found' })
    await expect(world.home.command(eve.accountId, commandId)).rejects.toMatchObject({ code: 'not_found' })
    await expect(world.home.waitForCommand(eve.accountId, commandId, 10)).rejects.toMatchObject({
      code: 'not_found',
    })
    await expect(read(newId<CommandId>())).rejects.toMatchObject({ code: 'not_found' })
    expect(world.sent).toHaveLength(1)
  })

  it('comes from a member who may see but not control, and leaves nothing behind', async () => {
    world.connect(lock)
    world.hooks.authorize = async ({ act }) => {
      if (act === 'control') throw new AppError('not_found')
    }
    await expect(world.lock(ada, lock)).rejects.toMatchObject({ code: 'not_found' })
    const page = await world.home.timeline(ada.accountId, lock.deviceId, { limit: 10 })
    expect(page.entries).toEqual([])
    expect(world.sent).toEqual([])
  })

  it('finds the device offline where the model says to refuse, and leaves nothing behind', async () => {
    const command = 'DoorLock.UnlockDoor'
    await expect(world.lock(ada, lock, { command, idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'conflict',
      message: 'The device is offline.',
    })
    const page = await world.home.timeline(ada.accountId, lock.deviceId, { limit: 10 })
    expect(page.entries).toEqual([])
    world.connect(lock)
    await settled()
    expect(sent()).toEqual([])
    await expect(world.lock(ada, lock, { command, idempotencyKey: 'k' })).resolves.toMatchObject({
      state: 'queued',
    })
    expect(sent()).toHaveLength(1)
  })

  it('is one too many for the device until one ends', async () => {
    for (let i = 0; i < 4; i++) await world.lock(ada, lock)
    const more = await Promise.allSettled([
      world.lock(ada, lock),
      world.lock(ada, lock),
      world.lock(ada, lock),
    ])
    expect(more.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
    await expect(world.lock(ada, lock)).rejects.toMatchObject({ code: 'rate_limited' })
    world.clock.ms += 60_000
    await expect(world.lock(ada, lock)).resolves.toMatchObject({ state: 'queued' })
  })
})

describe('a command to a device that is away', () => {
  it('waits, and is sent in order of request when the device returns', async () => {
    const asked = [await world.lock(ada, lock), await world.lock(ada, lock), await world.lock(ada, lock)]
    expect(asked.map((command) => command.state)).toEqual(['queued', 'queued', 'queued'])
    expect(world.sent).toEqual([])
    world.connect(lock)
    await vi.waitFor(() => expect(sentIds()).toEqual(asked.map(({ commandId }) => commandId)))
  })

  it('is sent again with the same id at the next return when no acknowledgement came', async () => {
    const { commandId } = await world.lock(ada, lock)
    world.connect(lock)
    await vi.waitFor(() => expect(sentIds()).toEqual([commandId]))
    world.disconnect(lock)
    world.connect(lock)
    await vi.waitFor(() => expect(sentIds()).toEqual([commandId, commandId]))
  })

  it('is sent again after a restart of the server when no acknowledgement came', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    await world.restart()
    world.connect(lock)
    await vi.waitFor(() => expect(sentIds()).toEqual([commandId, commandId]))
  })

  it.each([
    [
      'it ran out',
      async () => {
        world.clock.ms += 60_000
      },
    ],
    ['the device answered it', (id: CommandId) => answer(id)],
  ])('is not sent when %s while it was being authorized', async (_, meanwhile) => {
    const { commandId } = await world.lock(ada, lock)
    const passed = Promise.withResolvers<void>()
    world.hooks.authorize = async () => {
      world.hooks.authorize = undefined
      await meanwhile(commandId)
      passed.resolve()
    }
    world.connect(lock)
    await passed.promise
    await settled()
    expect(sentIds()).toEqual([])
  })

  it('is sent once when its device becomes ready while it is being authorized', async () => {
    let calls = 0
    world.hooks.authorize = async () => {
      calls += 1
      if (calls === 2) world.connect(lock)
    }
    const { commandId } = await world.lock(ada, lock)
    world.hooks.authorize = undefined
    await settled()
    expect(sentIds()).toEqual([commandId])
  })

  it('is sent once in one session, whatever happens at the same time', async () => {
    world.connected.add(lock.deviceId)
    const asking = world.lock(ada, lock)
    world.home.deviceReady(lock.deviceId, lock.tenure.tenureId)
    const { commandId } = await asking
    await world.home.tick()
    await settled()
    expect(sentIds()).toEqual([commandId])
  })

  it('is never sent again once the device acknowledged it', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    world.acknowledge(lock, commandId)
    world.connect(lock)
    await becomes(commandId, 'delivered')
    world.connect(lock)
    await settled()
    expect(sentIds()).toEqual([commandId])
  })

  it('is never sent again once the device answered it', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    await answer(commandId)
    world.connect(lock)
    await settled()
    expect(sentIds()).toEqual([commandId])
  })

  it('is not sent when its requester may not control the device any more', async () => {
    const { commandId } = await world.lock(ada, lock)
    const heir = newId<AccountId>()
    await world.database.pool.query('update registry.member set account_id = $1 where account_id = $2', [
      heir,
      ada.accountId,
    ])
    world.connect(lock)
    await vi.waitFor(async () =>
      expect(await world.home.command(heir, commandId)).toMatchObject({
        state: 'failed',
        status: 'UNSUPPORTED_ACCESS',
      }),
    )
    expect(world.sent).toEqual([])
  })

  it('of a former tenure is not sent when the next one begins', async () => {
    const { commandId } = await world.lock(ada, lock)
    const bob = await world.person()
    await world.endTenure(lock)
    const next = await world.claim(bob, lock.deviceId, lock.code)
    world.connect(next)
    await vi.waitFor(async () => {
      const { rows } = await world.database.pool.query(
        'select state from home.command where command_id = $1',
        [commandId],
      )
      expect(rows).toEqual([{ state: 'failed' }])
    })
    expect(world.sent).toEqual([])
    await expect(read(commandId)).rejects.toMatchObject({ code: 'not_found' })
    await expect(world.home.command(bob.accountId, commandId)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a command whose time runs out', () => {
  it('expires by the timer, whether queued or delivered', async () => {
    const queued = await world.lock(ada, lock)
    world.connect(lock)
    const delivered = await world.lock(ada, lock)
    world.acknowledge(lock, delivered.commandId)
    await becomes(delivered.commandId, 'delivered')
    world.clock.ms += 60_000
    await world.home.tick()
    const { rows } = await world.database.pool.query(
      'select distinct state, due_ms from home.command where tenure_id = $1',
      [lock.tenure.tenureId],
    )
    expect(rows).toEqual([{ state: 'expired', due_ms: null }])
    expect(await read(queued.commandId)).toMatchObject({ state: 'expired', finishedAtMs: world.clock.ms })
  })

  it('is expired for its reader before the timer ran', async () => {
    const { commandId } = await world.lock(ada, lock)
    world.clock.ms += 59_999
    expect(await state(commandId)).toBe('queued')
    world.clock.ms += 1
    expect(await state(commandId)).toBe('expired')
  })

  it('is not sent when the device returns too late', async () => {
    await world.lock(ada, lock)
    world.clock.ms += 60_000
    world.connect(lock)
    await settled()
    expect(sent()).toEqual([])
  })

  it('is changed by no late acknowledgement and no late result, which the timeline shows', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    world.clock.ms += 60_000
    world.acknowledge(lock, commandId)
    await answer(commandId)
    await settled()
    await world.home.tick()
    expect(await read(commandId)).toMatchObject({ state: 'expired' })
    const { entries } = await world.home.timeline(ada.accountId, lock.deviceId, { limit: 10 })
    expect(entries.map(({ kind, payload }) => ({ kind, ...payload }))).toEqual(
      expect.arrayContaining([
        { kind: 'command', event: 'result', commandId, status: 'SUCCESS' },
        { kind: 'command', event: 'expired', commandId, command: 'DoorLock.LockDoor' },
        { kind: 'command', event: 'requested', commandId, command: 'DoorLock.LockDoor', arguments: {} },
      ]),
    )
  })
})

describe('an idempotency key', () => {
  it('answers the same request with the same command, sent once', async () => {
    world.connect(lock)
    const first = await world.lock(ada, lock, { idempotencyKey: 'one' })
    const again = await world.lock(ada, lock, { idempotencyKey: 'one', endpoint: 1 })
    expect(again.commandId).toBe(first.commandId)
    await answer(first.commandId)
    expect(await world.lock(ada, lock, { idempotencyKey: 'one' })).toMatchObject({
      commandId: first.commandId,
      state: 'succeeded',
    })
    expect(world.sent).toHaveLength(1)
  })

  it('refuses another request', async () => {
    await world.lock(ada, lock, { idempotencyKey: 'one' })
    const refused = { code: 'idempotency_mismatch' }
    await expect(
      world.lock(ada, lock, { idempotencyKey: 'one', arguments: { PinCode: 'MTIzNA==' } }),
    ).rejects.toMatchObject(refused)
    await expect(
      world.lock(ada, lock, { idempotencyKey: 'one', command: 'DoorLock.UnlockDoor' }),
    ).rejects.toMatchObject(refused)
  })

  it('makes one command of many requests at once', async () => {
    world.connect(lock)
    const asked = await Promise.all(
      Array.from({ length: 12 }, () => world.lock(ada, lock, { idempotencyKey: 'many' })),
    )
    expect(new Set(asked.map(({ commandId }) => commandId)).size).toBe(1)
    expect(world.sent).toHaveLength(1)
  })

  it("is another device's own, and another person's", async () => {
    const other = await world.device(ada)
    const first = await world.lock(ada, lock, { idempotencyKey: 'one' })
    const second = await world.lock(ada, other, { idempotencyKey: 'one' })
    const eve = await world.person()
    const hers = await world.device(eve)
    const third = await world.lock(eve, hers, { idempotencyKey: 'one' })
    expect(new Set([first, second, third].map(({ commandId }) => commandId)).size).toBe(3)
  })

  it.each(['', 'x'.repeat(256)])('of a wrong length is refused', async (idempotencyKey) => {
    await expect(world.lock(ada, lock, { idempotencyKey })).rejects.toMatchObject({ code: 'invalid_request' })
  })
})
