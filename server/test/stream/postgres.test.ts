import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Stream, StreamWriter } from '../../src/stream/index.ts'
import { streamContract } from './contract.ts'
import { postgresLog } from './support.ts'

const PATIENCE = { timeout: 20_000, interval: 20 }

describe('the stream in PostgreSQL', () => streamContract(postgresLog))

describe('what only PostgreSQL can do wrong', () => {
  let log: Awaited<ReturnType<typeof postgresLog>>
  /** Another user of the same database, to lock and to break things. Within its transactions it sees no news of others. */
  let other: pg.Client

  beforeAll(async () => {
    log = await postgresLog()
    other = new pg.Client({ connectionString: log.url })
    await other.connect()
  })
  afterEach(async () => {
    await other.query('rollback')
  })
  afterAll(async () => {
    await other.end()
    await log.drop()
  })

  const request = { kind: 'events', payload: Buffer.from('{}'), paths: ['1/A.B'] } as const

  async function withStream(
    limits: object,
    work: (stream: Stream, append: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const stream = await log.open({ retryFirstMs: 5, retryLastMs: 50, ...limits })
    try {
      const writer: StreamWriter = await stream.writer(await log.tenure())
      await work(stream, () => writer.append(request))
    } finally {
      await stream.close()
    }
  }

  const stored = async () => (await other.query('select count(*)::int as n from stream.record')).rows[0].n

  /** Waits until the stream's own connection is inside a batch, which the lock of `other` holds up. */
  async function blocked(): Promise<number> {
    return vi.waitFor(async () => {
      const { rows } = await log.database.pool.query(`select pid from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into stream.record%'`)
      expect(rows).toHaveLength(1)
      return rows[0].pid
    }, PATIENCE)
  }

  test('a batch whose connection breaks is refused, and so are look-ups until its outcome is known', async () => {
    await withStream({}, async (stream, append) => {
      const before = await stored()
      const { tenureId } = await log.tenure()
      await other.query('begin; select seq from stream.head for update')
      const refused = expect(append()).rejects.toMatchObject({ code: 'unavailable' })
      await other.query('select pg_terminate_backend($1)', [await blocked()])
      await refused
      await expect(stream.recentMessageKeys(tenureId, 1)).rejects.toMatchObject({ code: 'unavailable' })
      await other.query('commit')
      await append()
      expect(await stream.recentMessageKeys(tenureId, 1)).toEqual([])
      expect(await stored()).toBe(before + 1)
    })
  })

  test('a batch that was given up cannot be stored later, behind a resend', async () => {
    await withStream({ batchTimeoutMs: 300 }, async (stream, append) => {
      const before = await stored()
      await other.query('begin; select seq from stream.head for update')
      const refused = expect(append()).rejects.toMatchObject({ code: 'unavailable' })
      const lost = await blocked()
      await refused
      // PostgreSQL does not notice that a waiting backend's client has gone; the stream ends it.
      await vi.waitFor(async () => {
        const { rowCount } = await log.database.pool.query('select from pg_stat_activity where pid = $1', [
          lost,
        ])
        expect(rowCount).toBe(0)
      }, PATIENCE)
      await other.query('commit')
      await vi.waitFor(() => expect(stream.stats().stream_reconnects_total).toBe(1), PATIENCE)
      await vi.waitFor(append, PATIENCE)
      expect(await stored()).toBe(before + 1)
    })
  })

  test('a batch that PostgreSQL refuses is refused alone, on the same connection', async () => {
    await other.query(`create function public.refuse() returns trigger language plpgsql as
      $$ begin raise exception 'disk full' using errcode = '53100'; end $$;
      create trigger refuse before insert on stream.record for each statement execute function public.refuse()`)
    await withStream({}, async (stream, append) => {
      const before = await stored()
      await expect(append()).rejects.toMatchObject({ code: 'unavailable' })
      await other.query('drop trigger refuse on stream.record')
      await append()
      expect(await stored()).toBe(before + 1)
      expect(stream.stats()).toMatchObject({ stream_reconnects_total: 0, stream_failed_total: 1 })
    })
  })

  test('while the database is away appends are refused at once, and taken again when it is back', async () => {
    const server = new pg.Client({ connectionString: log.url.replace(/\/[^/?]*(\?|$)/, '/postgres$1') })
    await server.connect()
    const name = /\/([^/?]+)(?:\?|$)/.exec(log.url)?.[1]
    await withStream({}, async (stream, append) => {
      const drained = new Promise<void>((resolve) => stream.onDrain(resolve))
      await server.query(`alter database ${name} with allow_connections false`)
      await other.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'hearthlock-stream'`)
      await vi.waitFor(() => expect(stream.congested).toBe(true), PATIENCE)
      await expect(append()).rejects.toMatchObject({ code: 'unavailable', retryAfterSeconds: 1 })
      await server.query(`alter database ${name} with allow_connections true`)
      await drained
      expect(stream.congested).toBe(false)
      await append()
    })
    await server.end()
  })

  test('an append commits synchronously and a reader does not, whatever the database’s default is', async () => {
    const name = /\/([^/?]+)(?:\?|$)/.exec(log.url)?.[1]
    await other.query(`alter database ${name} set synchronous_commit = off;
      create table public.seen_setting (setting text);
      create function public.note_setting() returns trigger language plpgsql as $$ begin
        insert into public.seen_setting values (current_setting('synchronous_commit')); return null; end $$;
      create trigger note_setting after insert on stream.record for each statement execute function public.note_setting()`)
    await withStream({}, (_, append) => append())
    await other.query(`alter database ${name} set synchronous_commit = on`)
    await withStream({}, async (stream, append) => {
      await append()
      const inReader: unknown[] = []
      const reader = stream.reader('settings', async (tx) => {
        const { rows } = await sql<{ synchronous_commit: string }>`show synchronous_commit`.execute(tx)
        inReader.push(rows[0]?.synchronous_commit)
      })
      await reader.start()
      await vi.waitFor(() => expect(inReader).toEqual(['off']), PATIENCE)
    })
    const { rows } = await other.query('select setting from public.seen_setting')
    expect(rows).toEqual([{ setting: 'on' }, { setting: 'on' }])
    await other.query('drop trigger note_setting on stream.record')
  })

  test('a wake-up for records that do not exist keeps nobody busy and hides nothing', async () => {
    await withStream({ pollMs: 1e9 }, async (stream, append) => {
      const reader = stream.reader('forged', async () => {})
      await reader.start()
      const before = await stored()
      await vi.waitFor(() => expect(reader.position).toBe(before), PATIENCE)
      await other.query(`notify hearthlock_stream, 'somebody 1000000'; notify hearthlock_stream, 'nonsense'`)
      // An append's answer comes on the connection that hears the wake-ups, after them.
      await append()
      await vi.waitFor(() => expect(reader.position).toBe(before + 1), PATIENCE)
      await vi.waitFor(() => expect(stream.stats().stream_head).toBe(before + 1), PATIENCE)
      await append()
      await vi.waitFor(() => expect(reader.position).toBe(before + 2), PATIENCE)
    })
  })

  test('a table with a hole stops its readers, instead of being read past', async () => {
    await withStream({ tailRecords: 1 }, async (stream, append) => {
      for (let n = 0; n < 3; n++) await append()
      const hole = (stream.stats().stream_head ?? 0) - 1
      const { rows } = await other.query('delete from stream.record where seq = $1 returning *', [hole])
      expect(rows).toHaveLength(1)
      const seqs: number[] = []
      const reader = stream.reader('hole', async (_, records) => {
        seqs.push(...records.map(({ seq }) => seq))
      })
      await reader.start()
      await vi.waitFor(
        () => expect(stream.stats().stream_reader_hole_failures_total).toBeGreaterThan(1),
        PATIENCE,
      )
      expect(Math.max(0, ...seqs)).toBeLessThan(hole)
      await reader.close()
    })
  })
})
