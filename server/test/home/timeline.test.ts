import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TimelineEntry } from '../../src/home/index.ts'
import { createWorld, type Device, type Person, type World } from './support.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

const relock = (n: number) => ({ 'DoorLock.AutoRelockTime': n })
const read = (ada: Person, lock: Device, page: { before?: number; limit: number }) =>
  world.home.timeline(ada.accountId, lock.deviceId, page)

async function readAll(ada: Person, lock: Device, limit: number, between = async () => {}) {
  const entries: TimelineEntry[] = []
  let before: number | undefined
  do {
    const page = await read(ada, lock, { limit, ...(before !== undefined && { before }) })
    entries.push(...page.entries)
    before = page.next
    await between()
  } while (before !== undefined)
  return entries
}

describe('the timeline of a device', () => {
  it('is paged newest first, each entry once, whatever is added meanwhile', async () => {
    const ada = await world.person()
    const [lock, other] = [await world.device(ada), await world.device(ada)]
    for (let n = 0; n < 12; n++) {
      await world.append(lock, 'attributes', relock(n))
      await world.append(other, 'attributes', relock(n))
      if (n % 4 === 0) {
        await world.applied()
        await world.lock(ada, lock)
      }
    }
    await world.append(lock, 'availability', { online: true })
    await world.applied()
    const whole = await read(ada, lock, { limit: 200 })
    expect(whole.next).toBeUndefined()
    expect(whole.entries).toHaveLength(16)
    expect(whole.entries[0]).toMatchObject({ kind: 'availability', payload: { online: true } })
    expect(whole.entries.map(({ seq }) => seq)).toEqual(
      [...whole.entries.map(({ seq }) => seq)].sort((a, b) => b - a),
    )
    const values = whole.entries.flatMap((entry) =>
      Object.values(entry.kind === 'attributes' ? entry.payload : {}),
    )
    expect(values).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    for (const limit of [1, 3, 4, 8, 15, 16, 17]) {
      const more = async () => {
        await world.append(lock, 'attributes', relock(99))
        await world.applied()
      }
      const newest = (await read(ada, lock, { limit: 1 })).entries[0]
      const paged = await readAll(ada, lock, limit, more)
      expect(paged.slice(-16)).toEqual(whole.entries)
      expect(paged[0]).toEqual(newest)
    }
  })

  it.each([{ limit: 0 }, { limit: 201 }, { limit: 1.5 }, { limit: 1, before: 0 }, { limit: 1, before: 0.5 }])(
    'refuses the page %o',
    async (page) => {
      const ada = await world.person()
      const lock = await world.device(ada)
      await expect(read(ada, lock, page)).rejects.toMatchObject({ code: 'invalid_request' })
    },
  )

  it('holds each record once, in order, over restarts and failures of the reader', async () => {
    const ada = await world.person()
    const lock = await world.device(ada)
    // A failure after all of a batch was written: the commit itself is refused, now and then.
    await sql`create sequence home.test_failures`.execute(world.database.queries)
    await sql`create function home.test_fail() returns trigger language plpgsql as $$
      begin if nextval('home.test_failures') % 3 = 1 then raise 'no'; end if; return null; end $$`.execute(
      world.database.queries,
    )
    await sql`create constraint trigger test_fail after update on home.head
      deferrable initially deferred for each row execute function home.test_fail()`.execute(
      world.database.queries,
    )
    const total = 300
    for (let n = 0; n < total; ) {
      const writer = await world.stream.writer(lock.tenure)
      const batch = Array.from({ length: 60 }, () => n++)
      await Promise.all(
        batch.map((value) =>
          writer.append({
            kind: 'attributes',
            payload: Buffer.from(JSON.stringify(relock(value))),
            paths: ['1/DoorLock.AutoRelockTime'],
          }),
        ),
      )
      await world.restart()
    }
    await sql`drop trigger test_fail on home.head`.execute(world.database.queries)
    const failures = await world.database.pool.query('select last_value from home.test_failures')
    expect(failures.rows[0].last_value).toBeGreaterThan(1)
    await world.applied()
    const entries = await readAll(ada, lock, 200)
    const values = entries.map(({ payload }) => Object.values(payload)[0])
    expect(values.reverse()).toEqual(Array.from({ length: total }, (_, n) => n))
    const { attributes } = await world.home.device(ada.accountId, lock.deviceId)
    expect(attributes['1/DoorLock.AutoRelockTime']?.value).toBe(total - 1)
  })
})

describe('a copy of the home tables', () => {
  it('holds no value, no name and no time of what happened', async () => {
    const ada = await world.person()
    const lock = await world.device(ada, 'Nickname-Marked')
    world.clock.ms = 1_893_456_789_123
    await world.append(lock, 'attributes', { 'DoorLock.Language': 'qz', 'DoorLock.LockState': 'Unlatched' })
    await world.append(lock, 'events', { 'DoorLock.DoorLockAlarm': { AlarmCode: 'ForcedUser' } })
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock, {
      arguments: { PinCode: Buffer.from('pin-marked').toString('base64') },
      idempotencyKey: 'idempotency-marked',
    })
    await world.append(lock, 'results', {
      id: commandId,
      status: 'INVALID_IN_STATE',
      response: { a: 'answer-marked' },
    })
    await world.applied()
    expect(await world.home.command(ada.accountId, commandId)).toMatchObject({ status: 'INVALID_IN_STATE' })

    const tables = await world.database.pool.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'home'`,
    )
    expect(tables.rows).toHaveLength(5)
    let dump = ''
    for (const { name } of tables.rows) {
      const { rows } = await world.database.pool.query<Record<string, unknown>>(`select * from ${name}`)
      for (const value of rows.flatMap((row) => Object.values(row))) {
        const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
        dump += `${bytes.toString('latin1')}\n${bytes.toString('hex')}\n`
      }
    }
    const marked = ['DoorLock', 'LockState', 'Unlatched', 'Language', 'ForcedUser', 'LockDoor', 'pin-marked']
    marked.push('INVALID_IN_STATE', 'answer-marked', 'idempotency-marked', 'Nickname-Marked', '1893456789123')
    for (const text of marked) {
      const bytes = Buffer.from(text)
      for (const form of [text, bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, '')]) {
        expect(dump.includes(form), `${text} as ${form}`).toBe(false)
      }
    }
    expect(dump).toContain(commandId)
  })
})
