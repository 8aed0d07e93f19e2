import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  type Clock,
  createBus,
  type Database,
  type KeyId,
  newId,
  openDatabase,
  silentLog,
  type Tx,
} from '../../src/core/index.ts'
import {
  createKeys,
  type KeyProvider,
  type Keys,
  keysMigrations,
  memoryKeyProvider,
  openKeyFile,
  place,
} from '../../src/keys/index.ts'
import { createTestDatabase } from '../support/database.ts'

type TestDatabase = Awaited<ReturnType<typeof createTestDatabase>>
const AT = place('test')

let database: TestDatabase
let nowMs = Date.UTC(2026, 0, 2, 3, 4, 5)
const clock: Clock = { nowMs: () => nowMs }
const provider = memoryKeyProvider()

beforeAll(async () => {
  database = await createTestDatabase([keysMigrations])
})
afterAll(() => database.drop())

async function start(
  o: { provider?: KeyProvider; cacheSize?: number; database?: Database } = {},
): Promise<Keys> {
  const keys = createKeys({ provider, database, clock, log: silentLog, ...o })
  await keys.start()
  return keys
}

const create = (keys: Keys, kind: 'household' | 'tenure' | 'account' = 'household', wrappedBy?: KeyId) =>
  database.transaction((tx) => keys.create(tx, { kind, subject: newId(), wrappedBy }))
const rows = async (id: KeyId) =>
  (await database.pool.query('select * from keys.wrapped_key where id = $1 order by version', [id])).rows
const NOT_FOUND = { name: 'AppError', code: 'not_found' }
const INTEGRITY = { name: 'AppError', code: 'integrity_failed' }

class Undone extends Error {}
async function rolledBack(work: (tx: Tx) => Promise<unknown>): Promise<void> {
  await database
    .transaction(async (tx) => {
      await work(tx)
      throw new Undone()
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undone)) throw error
    })
}

describe('a stored key', () => {
  it('opens in another process what was sealed in this one, and only there', async () => {
    const [here, there] = [await start(), await start()]
    const household = await create(here)
    const tenure = await create(here, 'tenure', household)
    const sealed = (await here.open(tenure)).seal(AT, 'value')
    const key = await there.open(tenure)
    expect(key.unseal(AT, sealed).toString()).toBe('value')
    expect(key.digest('slot')).toEqual((await here.open(tenure)).digest('slot'))
    const parent = await there.open(household)
    expect(() => parent.unseal(AT, sealed)).toThrow(expect.objectContaining(INTEGRITY))
    expect(parent.digest('slot')).not.toEqual(key.digest('slot'))
  })

  it('can be used in the transaction that makes it, and is gone when that is rolled back', async () => {
    const [keys, other] = [await start(), await start()]
    let made: KeyId | undefined
    await rolledBack(async (tx) => {
      made = await keys.create(tx, { kind: 'household', subject: newId() })
      const tenure = await keys.create(tx, { kind: 'tenure', subject: newId(), wrappedBy: made })
      const sealed = (await keys.open(tenure)).seal(AT, 'value')
      expect((await other.open(tenure, tx)).unseal(AT, sealed).toString()).toBe('value')
      await expect(other.open(tenure)).rejects.toMatchObject(NOT_FOUND)
    })
    await expect(other.open(made as KeyId)).rejects.toMatchObject(NOT_FOUND)
    nowMs += 301_000
    await expect(keys.open(made as KeyId)).rejects.toMatchObject(NOT_FOUND)
  })

  it('stands in the database only wrapped, and times only to the hour', async () => {
    const keys = await start()
    const household = await create(keys)
    const tenure = await create(keys, 'tenure', household)
    const [root] = await rows(household)
    const [child] = await rows(tenure)
    expect(root).toMatchObject({
      version: 1,
      kind: 'household',
      wrapped_by: null,
      root_version: 1,
      destroyed_hour: null,
    })
    expect(child).toMatchObject({ version: 1, kind: 'tenure', wrapped_by: household, root_version: null })
    for (const row of [root, child]) {
      expect(row.wrapped).toHaveLength(32 + 31)
      expect(row.created_hour.getTime() % 3_600_000).toBe(0)
    }
  })

  it('that is unknown is not found', async () => {
    const keys = await start()
    const unknown = newId<KeyId>()
    await expect(keys.open(unknown)).rejects.toMatchObject(NOT_FOUND)
    await expect(create(keys, 'tenure', unknown)).rejects.toMatchObject(NOT_FOUND)
    await expect(database.transaction((tx) => keys.destroy(tx, unknown))).rejects.toMatchObject(NOT_FOUND)
    await expect(database.transaction((tx) => keys.rotate(tx, unknown))).rejects.toMatchObject(NOT_FOUND)
  })

  it.each([
    [
      'another id',
      (a: KeyId, b: KeyId) =>
        `update keys.wrapped_key t set wrapped = s.wrapped from keys.wrapped_key s where s.id = '${a}' and t.id = '${b}'`,
    ],
    [
      'another kind',
      (_: KeyId, b: KeyId) => `update keys.wrapped_key set kind = 'account' where id = '${b}'`,
    ],
    [
      'another subject',
      (_: KeyId, b: KeyId) => `update keys.wrapped_key set subject = 'someone' where id = '${b}'`,
    ],
    ['another version', (_: KeyId, b: KeyId) => `update keys.wrapped_key set version = 2 where id = '${b}'`],
  ])('does not open when its row was moved onto %s', async (_, statement) => {
    const [writer, reader] = [await start(), await start()]
    const [a, b] = [await create(writer), await create(writer)]
    await database.pool.query(statement(a, b))
    await expect(reader.open(b)).rejects.toMatchObject(INTEGRITY)
    await reader.open(a)
    expect(reader.stats().keys_refused_total).toBe(1)
  })

  it('does not open when its row was moved below another household', async () => {
    const [writer, reader] = [await start(), await start()]
    const [mine, theirs] = [await create(writer), await create(writer)]
    const tenure = await create(writer, 'tenure', theirs)
    await database.pool.query('update keys.wrapped_key set wrapped_by = $1 where id = $2', [mine, tenure])
    await expect(reader.open(tenure)).rejects.toMatchObject(INTEGRITY)
  })

  it('is read once for many who open it at the same time, and then not at all', async () => {
    const [writer, keys] = [await start(), await start()]
    const id = await create(writer)
    const opened = await Promise.all(Array.from({ length: 50 }, () => keys.open(id)))
    expect(new Set(opened).size).toBe(1)
    await keys.open(id)
    expect(keys.stats()).toMatchObject({ keys_read_total: 1, keys_cached: 1 })
  })

  it('that left the bounded cache keeps working for who holds it', async () => {
    const keys = await start({ cacheSize: 2 })
    const ids = [await create(keys), await create(keys), await create(keys)]
    const held = await keys.open(ids[0] as KeyId)
    const sealed = held.seal(AT, 'value')
    for (const id of ids) await keys.open(id)
    expect(keys.stats().keys_cached).toBe(2)
    expect(held.unseal(AT, sealed).toString()).toBe('value')
    expect((await keys.open(ids[0] as KeyId)).unseal(AT, held.seal(AT, 'x')).toString()).toBe('x')
  })

  it('ends when the room closes', async () => {
    const keys = await start()
    const key = await keys.open(await create(keys))
    await keys.close()
    expect(() => key.seal(AT, 'value')).toThrow(expect.objectContaining({ code: 'unavailable' }))
  })
})

describe('rotation', () => {
  it('seals with the new version and still opens and finds what the old one made', async () => {
    const [keys, other] = [await start(), await start()]
    const id = await create(keys)
    const key = await keys.open(id)
    const [old, digest] = [key.seal(AT, 'old'), key.digest('slot')]
    const tenure = await create(keys, 'tenure', id)
    await database.transaction((tx) => keys.rotate(tx, id))
    await database.transaction((tx) => keys.rotate(tx, id))

    const rotated = await keys.open(id)
    const fresh = rotated.seal(AT, 'new')
    expect(old.readUInt16BE(1)).toBe(1)
    expect(fresh.readUInt16BE(1)).toBe(3)
    for (const at of [rotated, key, await other.open(id)]) {
      expect(at.unseal(AT, old).toString()).toBe('old')
      expect(at.unseal(AT, fresh).toString()).toBe('new')
      expect(at.digest('slot')).toEqual(digest)
    }
    // A handle that somebody kept seals with the new version too, once the key was opened again.
    expect(key.seal(AT, 'x').readUInt16BE(1)).toBe(3)
    await (await start()).open(tenure)
    expect(await rows(id)).toHaveLength(3)
  })

  it('that is rolled back seals nothing with the version that never was', async () => {
    const keys = await start()
    const id = await create(keys)
    const key = await keys.open(id)
    await rolledBack(async (tx) => {
      await keys.rotate(tx, id)
      expect((await keys.open(id, tx)).seal(AT, 'x').readUInt16BE(1)).toBe(2)
      expect(key.seal(AT, 'x').readUInt16BE(1)).toBe(1)
      expect((await keys.open(id)).seal(AT, 'x').readUInt16BE(1)).toBe(1)
    })
    expect((await keys.open(id)).seal(AT, 'x').readUInt16BE(1)).toBe(1)
  })

  it('reaches other processes within the lease', async () => {
    const [keys, other] = [await start(), await start()]
    const id = await create(keys)
    const held = await other.open(id)
    await database.transaction((tx) => keys.rotate(tx, id))
    expect((await other.open(id)).seal(AT, 'x').readUInt16BE(1)).toBe(1)
    nowMs += 301_000
    await other.open(id)
    expect(held.seal(AT, 'x').readUInt16BE(1)).toBe(2)
  })

  it('twice at once makes two versions', async () => {
    const keys = await start()
    const id = await create(keys)
    await Promise.all([1, 2].map(() => database.transaction((tx) => keys.rotate(tx, id))))
    expect(await rows(id)).toHaveLength(3)
    expect((await (await start()).open(id)).seal(AT, 'x').readUInt16BE(1)).toBe(3)
  })
})

describe('destruction', () => {
  it('takes the bytes of all versions away, and of all keys below', async () => {
    const keys = await start()
    const household = await create(keys)
    const tenure = await create(keys, 'tenure', household)
    const bystander = await create(keys)
    await database.transaction((tx) => keys.rotate(tx, household))
    await database.transaction((tx) => keys.destroy(tx, household))

    const erased = [...(await rows(household)), ...(await rows(tenure))]
    expect(erased).toHaveLength(3)
    for (const row of erased) {
      expect(row.wrapped).toBeNull()
      expect(row.destroyed_hour.getTime() % 3_600_000).toBe(0)
    }
    for (const process of [keys, await start()]) {
      await expect(process.open(household)).rejects.toMatchObject(NOT_FOUND)
      await expect(process.open(tenure)).rejects.toMatchObject(NOT_FOUND)
      await process.open(bystander)
    }
    await expect(create(keys, 'tenure', household)).rejects.toMatchObject(NOT_FOUND)
    await expect(database.transaction((tx) => keys.rotate(tx, household))).rejects.toMatchObject(NOT_FOUND)
    await database.transaction((tx) => keys.destroy(tx, household))
  })

  it('ends the handles that somebody holds, in the cache or not, also of keys below', async () => {
    const keys = await start({ cacheSize: 1 })
    const household = await create(keys)
    const tenure = await create(keys, 'tenure', household)
    const held = [await keys.open(household), await keys.open(tenure)]
    const sealed = held.map((key) => key.seal(AT, 'value'))
    await database.transaction((tx) => keys.destroy(tx, household))
    for (const [i, key] of held.entries()) {
      expect(() => key.seal(AT, 'more')).toThrow(expect.objectContaining(NOT_FOUND))
      expect(() => key.unseal(AT, sealed[i] as Buffer)).toThrow(expect.objectContaining(NOT_FOUND))
      expect(() => key.digest('slot')).toThrow(expect.objectContaining(NOT_FOUND))
    }
  })

  it('cannot be undone by an open while its transaction runs', async () => {
    const keys = await start()
    const household = await create(keys)
    const tenure = await create(keys, 'tenure', household)
    await database.transaction(async (tx) => {
      await keys.destroy(tx, household)
      await expect(keys.open(household)).rejects.toMatchObject(NOT_FOUND)
      await expect(keys.open(tenure)).rejects.toMatchObject(NOT_FOUND)
      await expect(keys.open(tenure, tx)).rejects.toMatchObject(NOT_FOUND)
    })
    await expect(keys.open(household)).rejects.toMatchObject(NOT_FOUND)
    await expect(keys.open(tenure)).rejects.toMatchObject(NOT_FOUND)
    expect(keys.stats().keys_cached).toBe(0)
  })

  it('cannot be undone by an open that began before it', async () => {
    const writer = await start()
    const gate = { wait: undefined as Promise<void> | undefined }
    const slow = openDatabase({ connection: { connectionString: database.url }, log: silentLog })
    const { query } = slow.pool
    const connect = slow.pool.connect.bind(slow.pool) as (...a: unknown[]) => Promise<unknown>
    expect(query).toBeDefined()
    // Answers of this process' database arrive late.
    vi.spyOn(slow.pool, 'connect').mockImplementation((async (...a: unknown[]) => {
      const client = (await connect(...a)) as {
        query: (...q: unknown[]) => Promise<unknown>
        slowed?: boolean
      }
      if (!client.slowed) {
        const inner = client.query.bind(client)
        client.slowed = true
        client.query = async (...q) => {
          const answer = await inner(...q)
          await gate.wait
          return answer
        }
      }
      return client
    }) as never)
    const keys = await start({ database: slow })
    const id = await create(writer)
    let release = () => {}
    gate.wait = new Promise((resolve) => {
      release = resolve
    })
    const opening = keys.open(id)
    await sleep(50)
    await database.transaction((tx) => keys.destroy(tx, id))
    gate.wait = undefined
    release()
    await expect(opening).rejects.toMatchObject(NOT_FOUND)
    await expect(keys.open(id)).rejects.toMatchObject(NOT_FOUND)
    expect(keys.stats().keys_cached).toBe(0)
    await slow.close()
  })

  it('ends what another process has open, as soon as it is heard of', async () => {
    const bus = createBus({ database, log: silentLog, beatMs: 20 })
    await bus.start()
    const here = await start()
    const there = createKeys({ provider, database, clock, log: silentLog, bus })
    await there.start()
    const household = await create(here)
    const tenure = await create(here, 'tenure', household)
    const held = await there.open(tenure)
    const sealed = held.seal(AT, 'value')
    await database.transaction((tx) => here.destroy(tx, household))
    await vi.waitFor(() => expect(() => held.unseal(AT, sealed)).toThrow(expect.objectContaining(NOT_FOUND)))
    await expect(there.open(tenure)).rejects.toMatchObject(NOT_FOUND)
    await there.close()
    await bus.close()
  })

  it('leaves no key below that another process makes meanwhile', async () => {
    const [keys, other] = [await start(), await start()]
    const household = await create(keys)
    await other.open(household)
    let making: Promise<KeyId> | undefined
    await database.transaction(async (tx) => {
      await keys.destroy(tx, household)
      making = create(other, 'tenure', household)
      making.catch(() => {})
      await sleep(50)
    })
    await expect(making).rejects.toMatchObject(NOT_FOUND)
  })

  it('that is rolled back leaves the key in use', async () => {
    const keys = await start()
    const household = await create(keys)
    const tenure = await create(keys, 'tenure', household)
    const sealed = (await keys.open(tenure)).seal(AT, 'value')
    await rolledBack((tx) => keys.destroy(tx, household))
    expect((await keys.open(tenure)).unseal(AT, sealed).toString()).toBe('value')
    const before = keys.stats().keys_read_total
    await keys.open(tenure)
    expect(keys.stats().keys_read_total).toBe(before)
  })

  it('reaches other processes within the lease, and the handles that they hold', async () => {
    const [keys, other] = [await start(), await start()]
    const id = await create(keys)
    const held = await other.open(id)
    await database.transaction((tx) => keys.destroy(tx, id))
    nowMs += 301_000
    await expect(other.open(id)).rejects.toMatchObject(NOT_FOUND)
    expect(() => held.seal(AT, 'x')).toThrow(expect.objectContaining(NOT_FOUND))
  })
})

describe('a new root key version', () => {
  it('rewraps what the root wraps; everything opens before, between, and after a restart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hearthlock-rewrap-'))
    const own = await createTestDatabase([keysMigrations])
    try {
      const file = { path: join(folder, 'root.key'), dataDir: join(folder, 'data'), mayCreate: true }
      const first = await openKeyFile(file)
      const keys = await start({ provider: first, database: own })
      const sealed = new Map<KeyId, Buffer>()
      await own.transaction(async (tx) => {
        for (let i = 0; i < 600; i++) {
          const id = await keys.create(tx, { kind: 'account', subject: newId() })
          sealed.set(id, (await keys.open(id)).seal(AT, id))
        }
        const [household] = sealed.keys()
        const tenure = await keys.create(tx, { kind: 'tenure', subject: newId(), wrappedBy: household })
        sealed.set(tenure, (await keys.open(tenure)).seal(AT, tenure))
      })
      const [erased] = [...sealed.keys()].slice(5)
      await own.transaction((tx) => keys.destroy(tx, erased as KeyId))
      sealed.delete(erased as KeyId)
      expect(await keys.rewrap()).toBe(0)

      await first.addVersion()
      const progress: number[] = []
      expect(await keys.rewrap((done) => progress.push(done))).toBe(599)
      expect(progress).toEqual([500, 599])
      expect(await keys.rewrap()).toBe(0)
      const { rows: versions } = await own.pool.query(
        'select distinct root_version from keys.wrapped_key where wrapped_by is null and wrapped is not null',
      )
      expect(versions).toEqual([{ root_version: 2 }])

      const restarted = await start({
        provider: await openKeyFile({ ...file, mayCreate: false }),
        database: own,
      })
      for (const [id, value] of sealed) {
        expect((await restarted.open(id)).unseal(AT, value).toString()).toBe(id)
      }
      const fresh = await own.transaction((tx) => restarted.create(tx, { kind: 'account', subject: newId() }))
      await (await start({ provider: await openKeyFile(file), database: own })).open(fresh)
    } finally {
      await own.drop()
      await rm(folder, { recursive: true })
    }
  })
})

describe('start', () => {
  it('refuses a root key that this database was not made with', async () => {
    await start()
    const stranger = createKeys({ provider: memoryKeyProvider(), database, clock, log: silentLog })
    await expect(stranger.start()).rejects.toMatchObject({
      code: 'root_key_refused',
      message: expect.stringContaining('This database belongs to another root key'),
    })
  })

  it('refuses an older copy of the key file', async () => {
    const own = await createTestDatabase([keysMigrations])
    const mine = memoryKeyProvider()
    const copy = mine.versions()
    await start({ provider: mine, database: own })
    await mine.addVersion()
    await start({ provider: mine, database: own })
    const older: KeyProvider = { ...mine, versions: () => copy }
    await expect(start({ provider: older, database: own })).rejects.toMatchObject({
      code: 'root_key_refused',
      message: expect.stringContaining('lacks version 2'),
    })
    // Nor may a file that brings a wrong first version smuggle in a second one.
    const [second] = mine.versions()
    const mixed: KeyProvider = {
      ...mine,
      versions: () => [second as never, ...memoryKeyProvider().versions()],
    }
    await expect(start({ provider: mixed, database: own })).rejects.toMatchObject({
      code: 'root_key_refused',
    })
    await own.drop()
  })

  it('of two servers with two keys on one new database lets one through', async () => {
    const own = await createTestDatabase([keysMigrations])
    const outcomes = await Promise.allSettled(
      [memoryKeyProvider(), memoryKeyProvider()].map((each) => start({ provider: each, database: own })),
    )
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected'])
    await own.drop()
  })
})
