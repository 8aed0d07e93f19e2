import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/index.ts'
import { createStranger } from '../../src/insight/destinations/stranger.ts'
import type { Observation } from '../../src/insight/observation.ts'
import { startTlsPostgres, type TlsPostgres } from '../support/tls-postgres.ts'
import { createWorld, OPERATOR, toPostgres, type World } from './support.ts'

const HOUR_MS = 3_600_000

describe('a copy in a PostgreSQL of the analysts', () => {
  let server: TlsPostgres
  let world: World
  beforeAll(async () => {
    server = await startTlsPostgres()
    world = await createWorld({ ask: createStranger({ clock: systemClock }) })
  })
  afterAll(async () => {
    await world.close()
    await server.close()
  })

  const rows = async (name = 'quality') =>
    (
      await server.query(
        `select device, model, firmware, field, number, label, observed_at::text as at, count::int as count from hearthlock_${name}.observation order by field, number, label`,
      )
    ).rows as (Omit<Observation, 'atMs'> & { at: string })[]

  it('holds what it names, rounded, under pseudonyms of its own', async () => {
    const device = await world.device()
    await world.append(device, 'availability', { online: true })
    await world.append(device, 'attributes', {
      'PowerSource.BatPercentRemaining': 187,
      'PowerSource.BatChargeLevel': 'Ok',
      'WiFiNetworkDiagnostics.Rssi': -61,
      'DoorLock.LockState': 'Locked',
    })
    await world.append(device, 'results', { id: 'x', status: 'SUCCESS' })
    world.counted.push({
      seq: 1,
      hourMs: world.clock.ms - (world.clock.ms % HOUR_MS),
      model: 'test-lock',
      firmware: '1.0.0',
      outcome: 'credentials',
      count: 3,
    })

    const made = await world.insight.create(world.wish(toPostgres(server)))
    expect(made).toMatchObject({
      name: 'quality',
      state: 'filling',
      destination: `postgres://127.0.0.1:${server.port}`,
    })
    await world.insight.tick()

    const found = await rows()
    const pseudonym = found.find(({ field }) => field === 'device.activated')?.device
    expect(pseudonym).toMatch(/^[\w-]{22}$/)
    const hour = new Date(world.clock.ms - (world.clock.ms % HOUR_MS))
      .toISOString()
      .slice(0, 19)
      .replace('T', ' ')
    const day = `${hour.slice(0, 10)} 00:00:00`
    const of = { device: pseudonym, model: 'test-lock', firmware: '1.0.0', count: 1 }
    expect(found).toEqual(
      [
        { ...of, at: hour, field: 'command.status', number: null, label: 'SUCCESS' },
        {
          ...of,
          device: null,
          at: hour,
          field: 'connection.outcome',
          number: null,
          label: 'credentials',
          count: 3,
        },
        { ...of, at: hour, field: 'device.activated', number: 1, label: null },
        { ...of, at: day, field: 'device.active', number: 1, label: null },
        { ...of, at: hour, field: 'device.online', number: 1, label: null },
        { ...of, at: hour, field: 'PowerSource.BatChargeLevel', number: null, label: 'Ok' },
        { ...of, at: hour, field: 'PowerSource.BatPercentRemaining', number: 187, label: null },
        { ...of, at: hour, field: 'WiFiNetworkDiagnostics.Rssi', number: -61, label: null },
      ].sort((a, b) => (a.field < b.field ? -1 : 1)),
    )
    expect(await world.insight.ledger.touched(made.copyId)).toEqual([
      {
        tenureId: device.tenure.tenureId,
        fields: [
          'PowerSource.BatChargeLevel',
          'PowerSource.BatPercentRemaining',
          'WiFiNetworkDiagnostics.Rssi',
          'command.status',
          'device.activated',
          'device.active',
          'device.firmware',
          'device.model',
          'device.online',
          'device.pseudonym',
        ],
      },
    ])
  })

  it('is filled exactly once, wherever a process ends between ledger, destination and place', async () => {
    const devices = await Promise.all([world.device(), world.device(), world.device()])
    const { copyId } = await world.insight.create(
      world.wish({
        ...toPostgres(server),
        name: 'exact',
        fields: ['device.pseudonym', 'PowerSource.BatPercentRemaining'],
        from: 'now',
      }),
    )
    let sent = 0
    for (let at = 0; at < 12; at += 1) {
      for (const device of devices) {
        sent += 1
        await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': sent })
      }
      // Dies in the first, the second … transaction of a fill, after what it did and before its commit.
      let left = at % 4
      const dying = world.open({
        database: {
          ...world.database,
          transaction: (work) =>
            world.database.transaction(async (tx) => {
              const result = await work(tx)
              if (left === 0) throw new Error('the process ends')
              left -= 1
              return result
            }),
        },
      })
      await dying.tick()
      await dying.close()
    }
    await world.insight.tick()
    expect((await rows('exact')).map(({ number, count }) => ({ number, count }))).toEqual(
      Array.from({ length: sent }, (_, at) => ({ number: at + 1, count: 1 })),
    )
    const touched = await world.insight.ledger.touched(copyId)
    expect(touched.map(({ tenureId }) => tenureId).sort()).toEqual(
      devices.map(({ tenure }) => tenure.tenureId).sort(),
    )
    expect((await world.insight.copy('exact')).filled).toBe(await world.stream.head())
  })

  it('names in the ledger whose data may have left, before it leaves', async () => {
    const device = await world.device()
    const { copyId } = await world.insight.create(
      world.wish({
        ...toPostgres(server),
        name: 'before',
        fields: ['PowerSource.BatPercentRemaining'],
        from: 'now',
      }),
    )
    await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 100 })
    let asked: unknown
    const looking = world.open({
      ask: async () => {
        asked = await world.insight.ledger.touched(copyId)
        return 'silent'
      },
    })
    await looking.tick()
    await looking.close()
    expect(asked).toEqual([{ tenureId: device.tenure.tenureId, fields: ['PowerSource.BatPercentRemaining'] }])
    expect(await rows('before')).toEqual([])
  })

  it('sends nothing after the commit of a cut, until it is resumed', async () => {
    const device = await world.device()
    const { copyId } = await world.insight.create(
      world.wish({
        ...toPostgres(server),
        name: 'cut',
        fields: ['PowerSource.BatPercentRemaining'],
        from: 'now',
      }),
    )
    await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 100 })
    await world.database.transaction((tx) => world.insight.feeds.cut(tx, copyId, 'finding 1'))
    await world.insight.tick()
    const other = world.open()
    await other.tick()
    await other.close()
    expect(await rows('cut')).toEqual([])
    expect(await world.insight.copy('cut')).toMatchObject({ state: 'cut', reason: 'finding 1' })
    await expect(world.insight.resume(copyId, OPERATOR)).rejects.toMatchObject({ code: 'conflict' })

    await world.database.transaction((tx) => world.insight.feeds.resume(tx, copyId))
    await world.insight.tick()
    expect(await rows('cut')).toHaveLength(1)
  })

  it.each(['before the ledger was written', 'after it'])(
    'sends nothing when it was cut while a batch was being made, %s',
    async (when) => {
      const device = await world.device()
      const name = when === 'after it' ? 'late' : 'early'
      const { copyId } = await world.insight.create(
        world.wish({ ...toPostgres(server), name, fields: ['PowerSource.BatPercentRemaining'], from: 'now' }),
      )
      await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 100 })
      const cut = () => world.database.transaction((tx) => world.insight.feeds.cut(tx, copyId, 'finding 0'))
      let transactions = 0
      const making = world.open({
        database: {
          ...world.database,
          async transaction(work) {
            if ((await world.insight.copy(name)).state === 'filling') {
              transactions += 1
              if (transactions === (when === 'after it' ? 2 : 1)) await cut()
            }
            return await world.database.transaction(work)
          },
        },
      })
      // Alone, so that its transactions can be told.
      const others = (await world.insight.copies()).filter(
        (copy) => copy.state === 'filling' && copy.name !== name,
      )
      for (const other of others) await world.insight.pause(other.copyId, OPERATOR)
      await making.tick()
      await making.close()
      for (const other of others) await world.insight.resume(other.copyId, OPERATOR)
      expect(transactions).toBe(when === 'after it' ? 2 : 1)
      expect(await rows(name)).toEqual([])
      expect((await world.insight.copy(name)).state).toBe('cut')
    },
  )

  it('is cut at once while a batch is on its way, and that batch does not arrive', async () => {
    const device = await world.device()
    const { copyId } = await world.insight.create(
      world.wish({
        ...toPostgres(server),
        name: 'way',
        fields: ['PowerSource.BatPercentRemaining'],
        from: 'now',
      }),
    )
    await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 100 })
    // The destination is busy: the batch waits in it for as long as this lasts.
    const holder = server.hold('lock table hearthlock_way.observation in access exclusive mode')
    await holder.held
    const filling = world.insight.tick()
    await world.until(
      async () => (await server.query('select 1 from pg_locks where not granted')).rowCount === 1,
    )
    const began = performance.now()
    await world.database.transaction((tx) => world.insight.feeds.cut(tx, copyId, 'finding 2'))
    expect(performance.now() - began).toBeLessThan(3_000)
    await holder.release()
    await filling
    expect(await rows('way')).toEqual([])
    expect((await world.insight.copy('way')).state).toBe('cut')
    // It may have arrived, for all that we knew: it counts.
    expect(await world.insight.ledger.touched(copyId)).toHaveLength(1)
  })

  it('is cut although a process hangs in the midst of a batch', async () => {
    const device = await world.device()
    const { copyId } = await world.insight.create(
      world.wish({
        ...toPostgres(server),
        name: 'hang',
        fields: ['PowerSource.BatPercentRemaining'],
        from: 'now',
      }),
    )
    await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 100 })
    // Another process that hears nothing, as one that was stopped would: it keeps the row in a transaction of its own.
    const stopped = await world.database.pool.connect()
    stopped.on('error', () => {})
    await stopped.query('begin')
    await stopped.query('select pg_current_xact_id(), * from insight.copy where copy_id = $1 for update', [
      copyId,
    ])
    await world.database.transaction((tx) => world.insight.feeds.cut(tx, copyId, 'finding 3'))
    await expect(stopped.query('commit')).rejects.toThrow()
    stopped.release(true)
    await world.insight.tick()
    expect((await world.insight.copy('hang')).state).toBe('cut')
    expect(await rows('hang')).toEqual([])
  })

  it('is refused where the destination lets strangers read, and cut when it begins to', async () => {
    const device = await world.device()
    const { copyId } = await world.insight.create(
      world.wish({
        ...toPostgres(server),
        name: 'open',
        fields: ['PowerSource.BatPercentRemaining'],
        from: 'now',
      }),
    )
    await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 100 })
    await server.letIn('trust')
    try {
      await expect(
        world.insight.create(world.wish({ ...toPostgres(server), name: 'never' })),
      ).rejects.toMatchObject({ code: 'destination_refused' })
      expect((await server.query("select to_regnamespace('hearthlock_never') as schema")).rows).toEqual([
        { schema: null },
      ])
      const anew = world.open({ ask: createStranger({ clock: systemClock }) })
      await anew.tick()
      await anew.close()
      expect(await world.insight.copy('open')).toMatchObject({ state: 'cut', reason: 'open to strangers' })
    } finally {
      await server.letIn('scram-sha-256')
    }
    await world.insight.tick()
    expect(await rows('open')).toEqual([])
    await expect(world.insight.burn(copyId, OPERATOR)).resolves.toBeUndefined()
  })

  it('is refused where the certificate does not verify: not even the password is sent', async () => {
    const { authorityPem: _, ...untrusted } = toPostgres(server)
    await expect(world.insight.create(world.wish({ ...untrusted, name: 'untrusted' }))).rejects.toMatchObject(
      {
        code: 'destination_refused',
        message: "The destination's certificate does not verify; nothing was sent.",
      },
    )
    // Right authority, another name.
    await expect(
      world.insight.create(
        world.wish({
          ...toPostgres(server),
          to: `postgres://postgres@localhost:${server.port}/postgres`,
          name: 'untrusted',
        }),
      ),
    ).rejects.toMatchObject({ code: 'destination_refused' })
    await expect(world.insight.copy('untrusted')).rejects.toMatchObject({ code: 'not_found' })
  })

  it('is gone with its key and its data when it is burned, and the ledger stays', async () => {
    const { copyId } = await world.insight.copy('exact')
    const before = await world.insight.ledger.touched(copyId)
    await world.insight.burn(copyId, OPERATOR)
    expect((await server.query("select to_regnamespace('hearthlock_exact') as schema")).rows).toEqual([
      { schema: null },
    ])
    const { rows: keyRows } = await world.database.pool.query(
      'select wrapped from keys.wrapped_key join insight.copy on key_id = id where copy_id = $1',
      [copyId],
    )
    expect(keyRows).toEqual([{ wrapped: null }])
    const { rowCount } = await world.database.pool.query(
      'select from insight.copy_tenure where copy_id = $1',
      [copyId],
    )
    expect(rowCount).toBe(0)
    expect(await world.insight.copy(copyId)).toMatchObject({ state: 'burned' })
    expect(await world.insight.ledger.touched(copyId)).toEqual(before)
    await expect(world.insight.metric(copyId, 'battery')).rejects.toMatchObject({ code: 'not_found' })
  })

  it('ends by itself when its time is up', async () => {
    await world.insight.create(
      world.wish({
        ...toPostgres(server),
        name: 'brief',
        expiresSeconds: 2 * 3_600,
        fields: ['device.model'],
      }),
    )
    await world.insight.tick()
    expect((await world.insight.copy('brief')).state).toBe('filling')
    world.clock.ms += 2 * HOUR_MS
    await world.insight.tick()
    expect((await world.insight.copies(true)).find(({ name }) => name === 'brief')?.state).toBe('burned')
    expect((await server.query("select to_regnamespace('hearthlock_brief') as schema")).rows).toEqual([
      { schema: null },
    ])
  })

  it('is burned later where the destination is away, and is fed no more from the first moment', async () => {
    const { copyId } = await world.insight.create(
      world.wish({ ...toPostgres(server), name: 'away', fields: ['device.active'], from: 'now' }),
    )
    const holder = server.hold('lock table hearthlock_away.observation in access exclusive mode')
    await holder.held
    await world.insight.burn(copyId, OPERATOR)
    expect(await world.insight.copy('away')).toMatchObject({ state: 'burning', problem: 'unavailable' })
    await holder.release()
    await world.insight.tick()
    expect((await world.insight.copy(copyId)).state).toBe('burned')
  })

  it('has pseudonyms that no other copy has, and that our own tables do not', async () => {
    const device = await world.device()
    await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 40 })
    const fields = ['device.pseudonym', 'PowerSource.BatPercentRemaining']
    await world.insight.create(world.wish({ ...toPostgres(server), name: 'one', fields }))
    await world.insight.create(world.wish({ ...toPostgres(server), name: 'two', fields }))
    await world.insight.tick()
    const names = async (name: string) =>
      new Set((await rows(name)).map((row) => row.device as unknown as string))
    const [one, two] = [await names('one'), await names('two')]
    expect(one.size).toBeGreaterThan(3)
    expect([...one].filter((name) => two.has(name))).toEqual([])
    // Every one of them is known again as this copy's, and there is none more than tenures that it was given.
    for (const [name, of] of [
      ['one', one],
      ['two', two],
    ] as const) {
      for (const each of of) expect(await world.insight.recognise(each)).toMatchObject({ name })
      const { copyId } = await world.insight.copy(name)
      expect(of.size).toBe((await world.insight.ledger.touched(copyId)).length)
    }
    const { rows: refs } = await world.database.pool.query<{ ref: Buffer }>(
      'select ref from insight.copy_tenure',
    )
    const inOurs = new Set(refs.map(({ ref }) => ref.toString('base64url')))
    expect([...one, ...two].filter((name) => inOurs.has(name))).toEqual([])
  })

  it('holds nothing of a history that was destroyed before', async () => {
    const device = await world.device()
    await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 77 })
    await world.database.transaction((tx) => world.keys.destroy(tx, device.tenure.keyId))
    const { copyId } = await world.insight.create(
      world.wish({ ...toPostgres(server), name: 'erased', fields: ['PowerSource.BatPercentRemaining'] }),
    )
    await world.insight.tick()
    expect((await rows('erased')).filter(({ number }) => number === 77)).toEqual([])
    const touched = await world.insight.ledger.touched(copyId)
    expect(touched.filter(({ tenureId }) => tenureId === device.tenure.tenureId)).toEqual([])
  })
})
