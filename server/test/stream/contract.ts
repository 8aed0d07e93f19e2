import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Clock, Database, DeviceId, KeyId, TenureId } from '../../src/core/index.ts'
import type { SealingKey } from '../../src/keys/index.ts'
import {
  openRecord,
  type Reader,
  type RecordHandler,
  type Stream,
  type StreamLimits,
  type StreamRecord,
  type StreamWriter,
  slotOf,
} from '../../src/stream/index.ts'
import { effects, recordEffects } from './effects.ts'

export interface TestTenure {
  tenureId: TenureId
  deviceId: DeviceId
  keyId: KeyId
  key: SealingKey
}

/** One log, and as many processes' views of it as `open` is called. Holds a table `public.effect`, see effects.ts. */
export interface TestLog {
  database: Database
  open(limits?: Partial<StreamLimits>, clock?: Clock): Promise<Stream>
  tenure(): Promise<TestTenure>
  destroyKey(keyId: KeyId): Promise<void>
  /** Breaks all connections to the log at once. */
  breakConnections(): Promise<void>
  drop(): Promise<void>
}

const PATIENCE = { timeout: 20_000, interval: 20 }
const json = (value: unknown) => Buffer.from(JSON.stringify(value))

/** What every implementation of the stream's face must hold. */
export function streamContract(makeLog: () => Promise<TestLog>): void {
  let log: TestLog
  let open: Stream[] = []
  let names = 0

  beforeAll(async () => {
    log = await makeLog()
  })
  afterEach(async () => {
    await Promise.all(open.map((stream) => stream.close()))
    open = []
  })
  afterAll(() => log.drop())

  const newName = () => `reader-${++names}`

  async function openStream(limits?: Partial<StreamLimits>, clock?: Clock): Promise<Stream> {
    const stream = await log.open({ retryFirstMs: 5, retryLastMs: 50, ...limits }, clock)
    open.push(stream)
    return stream
  }

  async function close(stream: Stream): Promise<void> {
    open = open.filter((other) => other !== stream)
    await stream.close()
  }

  /** Everything in the log from its beginning, by a reader of its own. */
  async function readAll(stream: Stream, atLeast = 0): Promise<StreamRecord[]> {
    const seen: StreamRecord[] = []
    const reader = stream.reader(newName(), async (_, records) => {
      seen.push(...records)
    })
    await reader.start()
    await caughtUp(stream, reader)
    await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(atLeast), PATIENCE)
    await reader.close()
    return seen
  }

  async function caughtUp(stream: Stream, reader: Reader): Promise<void> {
    await vi.waitFor(() => expect(reader.position).toBe(stream.stats().stream_head), PATIENCE)
  }

  const append = (writer: StreamWriter, n: number) =>
    writer.append({ kind: 'attributes', payload: json({ n }), paths: ['1/OnOff.OnOff'] })

  describe('appending', () => {
    test('a record comes back as it was sent, sealed, with its time and its slots', async () => {
      const nowMs = Date.UTC(2026, 1, 3, 4, 5, 6, 789)
      const stream = await openStream({}, { nowMs: () => nowMs })
      const tenure = await log.tenure()
      const writer = await stream.writer(tenure)
      const payload = json({ 'OnOff.OnOff': true, 'LevelControl.CurrentLevel': 7 })
      const paths = ['1/OnOff.OnOff', '1/LevelControl.CurrentLevel']
      await writer.append({ kind: 'attributes', payload, paths })
      await writer.append({ kind: 'results', payload: json({ id: 1 }), paths: [] })

      const mine = (await readAll(stream)).filter((record) => record.tenureId === tenure.tenureId)
      expect(mine.map(({ kind, deviceId }) => ({ kind, deviceId }))).toEqual([
        { kind: 'attributes', deviceId: tenure.deviceId },
        { kind: 'results', deviceId: tenure.deviceId },
      ])
      const [first, second] = mine as [StreamRecord, StreamRecord]
      expect(first.slots).toEqual(paths.map((path) => slotOf(tenure.key, path)))
      expect(second.slots).toEqual([])
      expect(first.sealed.includes('OnOff')).toBe(false)
      expect(openRecord(tenure.key, first)).toEqual({ receivedAtMs: nowMs, payload })
    })

    test('sealed content does not open with the identity of another record, device, tenure or kind', async () => {
      const stream = await openStream()
      const [tenure, other] = [await log.tenure(), await log.tenure()]
      const writer = await stream.writer(tenure)
      await append(writer, 1)
      await append(writer, 2)
      const mine = (await readAll(stream)).filter((record) => record.tenureId === tenure.tenureId)
      const [first, second] = mine as [StreamRecord, StreamRecord]
      for (const change of [
        { recordId: second.recordId },
        { deviceId: other.deviceId },
        { tenureId: other.tenureId },
        { kind: 'events' as const },
        { sealed: second.sealed },
      ]) {
        expect(() => openRecord(tenure.key, { ...first, ...change })).toThrow(
          expect.objectContaining({ code: 'integrity_failed' }),
        )
      }
      expect(() => openRecord(other.key, first)).toThrow(
        expect.objectContaining({ code: 'integrity_failed' }),
      )
      expect(openRecord(tenure.key, first).payload).toEqual(json({ n: 1 }))
    })

    test('what a record says cannot be told from its size', async () => {
      const stream = await openStream()
      const tenure = await log.tenure()
      const writer = await stream.writer(tenure)
      const payloads = [
        '{"DoorLock.LockState":"Locked"}',
        '{"DoorLock.LockState":"Unlocked"}',
        '',
        '\0\0',
        ' ',
      ]
      for (const payload of payloads)
        await writer.append({ kind: 'attributes', payload: Buffer.from(payload), paths: [] })
      const mine = (await readAll(stream)).filter((record) => record.tenureId === tenure.tenureId)
      expect(mine.map((record) => openRecord(tenure.key, record).payload.toString())).toEqual(payloads)
      expect(new Set(mine.map(({ sealed }) => sealed.length)).size).toBe(1)
    })

    test('an acknowledged record is there for a process that opens the log afterwards', async () => {
      const stream = await openStream()
      const tenure = await log.tenure()
      await append(await stream.writer(tenure), 1)
      const seen = await readAll(await openStream())
      expect(seen.filter((record) => record.tenureId === tenure.tenureId)).toHaveLength(1)
    })

    test('two processes that append at once share one sequence without gap, each in its own order', async () => {
      const limits = { batchRecords: 7 }
      const streams = [await openStream(limits), await openStream(limits)]
      const tenures = [await log.tenure(), await log.tenure()]
      const writers = await Promise.all(streams.map((stream, i) => stream.writer(tenures[i] as TestTenure)))
      await Promise.all(writers.flatMap((writer) => Array.from({ length: 300 }, (_, n) => append(writer, n))))
      const seen = await readAll(streams[0] as Stream, 600)
      expect(seen.map((record) => record.seq)).toEqual(seen.map((_, i) => i + 1))
      expect(await readAll(streams[1] as Stream, 600)).toEqual(seen)
      for (const tenure of tenures) {
        const mine = seen.filter((record) => record.tenureId === tenure.tenureId)
        const sent = mine.map((record) => JSON.parse(String(openRecord(tenure.key, record).payload)).n)
        expect(sent).toEqual(Array.from({ length: 300 }, (_, n) => n))
      }
    })

    test('closing commits what is pending, and takes nothing more', async () => {
      const stream = await openStream({ batchRecords: 10 })
      const tenure = await log.tenure()
      const writer = await stream.writer(tenure)
      const appends = Array.from({ length: 200 }, (_, n) => append(writer, n))
      await close(stream)
      await Promise.all(appends)
      await expect(append(writer, 200)).rejects.toMatchObject({ code: 'unavailable' })
      const seen = await readAll(await openStream())
      expect(seen.filter((record) => record.tenureId === tenure.tenureId)).toHaveLength(200)
    })

    test('a closed writer, or one whose key is destroyed, appends nothing', async () => {
      const stream = await openStream()
      const [ended, erased] = [await log.tenure(), await log.tenure()]
      const writers = [await stream.writer(ended), await stream.writer(erased)] as const
      writers[0].close()
      await log.destroyKey(erased.keyId)
      await expect(append(writers[0], 1)).rejects.toMatchObject({ code: 'stale_tenure' })
      await expect(append(writers[1], 1)).rejects.toMatchObject({ code: 'not_found' })
      await expect(stream.writer(erased)).rejects.toMatchObject({ code: 'not_found' })
    })

    test('a request beyond the limits is refused and costs the others nothing', async () => {
      const stream = await openStream({ maxPayloadBytes: 10, maxPaths: 1 })
      const writer = await stream.writer(await log.tenure())
      const fine = { kind: 'events' as const, payload: json({}), paths: ['1/A.B'] }
      const outcomes = await Promise.allSettled([
        writer.append(fine),
        writer.append({ ...fine, payload: Buffer.alloc(11) }),
        writer.append({ ...fine, paths: ['1/A.B', '1/A.C'] }),
        writer.append({ ...fine, messageKey: Buffer.alloc(15) }),
        writer.append(fine),
      ])
      expect(outcomes.map((o) => (o.status === 'fulfilled' ? 'stored' : o.reason.code))).toEqual([
        'stored',
        'too_large',
        'too_large',
        'invalid_request',
        'stored',
      ])
    })

    test('the last message keys of a tenure are found, newest first, and nobody else’s', async () => {
      const stream = await openStream()
      const [tenure, other] = [await log.tenure(), await log.tenure()]
      const writer = await stream.writer(tenure)
      const keys = Array.from({ length: 5 }, () => randomBytes(16))
      for (const messageKey of keys) {
        await writer.append({ kind: 'events', payload: json({}), paths: [], messageKey })
        await append(writer, 0)
      }
      const foreign = await stream.writer(other)
      await foreign.append({ kind: 'events', payload: json({}), paths: [], messageKey: randomBytes(16) })
      expect(await stream.recentMessageKeys(tenure.tenureId, 3)).toEqual(keys.slice(2).reverse())
      expect(await stream.recentMessageKeys(tenure.tenureId, 99)).toEqual([...keys].reverse())
    })
  })

  describe('back-pressure', () => {
    test('above the high-water mark the stream is congested, and tells when it has drained', async () => {
      const stream = await openStream({ highWaterRecords: 10, lowWaterRecords: 2, batchRecords: 4 })
      const writer = await stream.writer(await log.tenure())
      const drained = vi.fn(() => expect(stream.congested).toBe(false))
      stream.onDrain(drained)
      const stop = stream.onDrain(() => expect.unreachable('unsubscribed'))
      stop()
      const first = Array.from({ length: 10 }, (_, n) => append(writer, n))
      expect(stream.congested).toBe(false)
      const second = append(writer, 10)
      expect(stream.congested).toBe(true)
      await Promise.all([...first, second])
      await vi.waitFor(() => expect(drained).toHaveBeenCalledTimes(1), PATIENCE)
    })

    test('bytes count as well as records', async () => {
      const stream = await openStream({ highWaterBytes: 5_000, maxPendingBytes: 20_000 })
      const writer = await stream.writer(await log.tenure())
      const big = { kind: 'events' as const, payload: Buffer.alloc(6_000, 32), paths: [] }
      const outcomes = Promise.allSettled([1, 2, 3, 4].map(() => writer.append(big)))
      expect(stream.congested).toBe(true)
      expect((await outcomes).map(({ status }) => status)).toEqual([
        'fulfilled',
        'fulfilled',
        'fulfilled',
        'rejected',
      ])
    })

    test('beyond what may be pending an append is refused, and later taken again', async () => {
      const stream = await openStream({ maxPendingRecords: 20 })
      const writer = await stream.writer(await log.tenure())
      const outcomes = await Promise.allSettled(Array.from({ length: 25 }, (_, n) => append(writer, n)))
      const refused = outcomes.slice(20)
      expect(outcomes.slice(0, 20).every((o) => o.status === 'fulfilled')).toBe(true)
      for (const o of refused)
        expect(o).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } })
      await append(writer, 26)
    })
  })

  describe('reading', () => {
    test('a reader gets what this process and what another process appends, without being asked to poll', async () => {
      const [stream, elsewhere] = [await openStream({ pollMs: 1e9 }), await openStream()]
      const tenure = await log.tenure()
      const name = newName()
      const reader = stream.reader(name, recordEffects(name))
      await reader.start()
      await caughtUp(stream, reader)
      const [here, there] = [await stream.writer(tenure), await elsewhere.writer(tenure)]
      for (let n = 0; n < 5; n++) {
        await append(n % 2 ? here : there, n)
        const { rows } = await log.database.pool.query<{ seq: number }>('select seq from stream.head')
        const { seq: head } = rows[0] as { seq: number }
        await vi.waitFor(() => expect(reader.position).toBeGreaterThanOrEqual(head), PATIENCE)
      }
      const seen = await effects(log.database, name)
      expect(seen).toEqual(seen.map((_, i) => i + 1))
    })

    test('over restarts and failures of its handler a reader’s effects happen once each, in order', async () => {
      const name = newName()
      const apply = recordEffects(name)
      const tenure = await log.tenure()
      let calls = 0
      const flaky: RecordHandler = async (tx, records) => {
        calls++
        await apply(tx, records)
        if (calls % 3 === 0) throw new Error('after its effects')
        if (calls % 5 === 0) await sql`select 1/0`.execute(tx)
      }
      for (let round = 0; round < 4; round++) {
        const stream = await openStream({ readRecords: 16, batchRecords: 9, tailRecords: 40 })
        const reader = stream.reader(name, flaky)
        await reader.start()
        const writer = await stream.writer(tenure)
        const appends = Array.from({ length: 100 }, (_, n) => append(writer, n))
        await Promise.all(appends.slice(0, 50))
        if (round % 2) await caughtUp(stream, reader)
        await reader.close()
        await Promise.all(appends)
        await close(stream)
      }
      const last = await openStream()
      const reader = last.reader(name, flaky)
      await reader.start()
      await caughtUp(last, reader)
      const seen = await effects(log.database, name)
      expect(seen).toEqual(Array.from({ length: last.stats().stream_head ?? 0 }, (_, i) => i + 1))
      expect(calls).toBeGreaterThan(20)
    })

    test('a handler that always fails is tried with pauses, is counted, and holds up nobody else', async () => {
      const stream = await openStream({ retryFirstMs: 100, retryLastMs: 100 })
      const [poisoned, healthy] = [newName(), newName()]
      let poison = true
      const handed: number[][] = []
      const bad = stream.reader(poisoned, async (tx, records) => {
        handed.push(records.map(({ seq }) => seq))
        if (poison) throw new Error('poison')
        await recordEffects(poisoned)(tx, records)
      })
      const good = stream.reader(healthy, recordEffects(healthy))
      const startedMs = performance.now()
      await Promise.all([bad.start(), good.start()])
      await append(await stream.writer(await log.tenure()), 1)
      await caughtUp(stream, good)
      await vi.waitFor(() => expect(handed.length).toBeGreaterThanOrEqual(3), PATIENCE)
      expect(handed.length).toBeLessThanOrEqual(1 + (performance.now() - startedMs) / 100)
      expect(new Set(handed.map(([first]) => first))).toEqual(new Set([1]))
      expect(bad.position).toBe(0)
      expect(stream.stats()[`stream_reader_${poisoned}_failures_total`]).toBeGreaterThanOrEqual(2)
      expect(stream.stats()[`stream_reader_${poisoned}_lag`]).toBe(stream.stats().stream_head)
      poison = false
      await caughtUp(stream, bad)
      expect(await effects(log.database, poisoned)).toEqual(
        Array.from({ length: bad.position }, (_, i) => i + 1),
      )
    })

    test('two processes with the same reader never both apply a record', async () => {
      const name = newName()
      const streams = [await openStream(), await openStream()]
      const readers = streams.map((stream, i) =>
        stream.reader(name, async (tx, records) => {
          await recordEffects(name, String(i))(tx, records)
          // Gives the other process time to try the same records.
          await new Promise((resolve) => setTimeout(resolve, 5))
        }),
      )
      await Promise.all(readers.map((reader) => reader.start()))
      const tenure = await log.tenure()
      const writers = await Promise.all(streams.map((stream) => stream.writer(tenure)))
      for (let round = 0; round < 20; round++) {
        await Promise.all(writers.map((writer) => append(writer, round)))
      }
      await vi.waitFor(
        () =>
          expect(Math.max(...readers.map((r) => r.position))).toBe(
            Math.max(...streams.map((stream) => stream.stats().stream_head ?? 0)),
          ),
        PATIENCE,
      )
      const seen = await effects(log.database, name)
      expect(seen).toEqual(seen.map((_, i) => i + 1))
    })

    test('a lagging reader is handed bounded chunks', async () => {
      const stream = await openStream({ readRecords: 10, readBytes: 3_000 })
      const writer = await stream.writer(await log.tenure())
      const big = { kind: 'events' as const, payload: Buffer.alloc(1_000, 32), paths: [] }
      await Promise.all(Array.from({ length: 30 }, () => writer.append(big)))
      await writer.append({ ...big, payload: Buffer.alloc(5_000, 32) })
      const chunks: StreamRecord[][] = []
      const reader = stream.reader(newName(), async (_, records) => {
        chunks.push(records)
      })
      await reader.start()
      await caughtUp(stream, reader)
      for (const chunk of chunks) {
        const bytes = chunk.reduce((sum, { sealed }) => sum + sealed.length, 0)
        expect(chunk.length).toBeLessThanOrEqual(10)
        expect(chunk.length === 1 || bytes <= 3_000).toBe(true)
      }
      const seqs = chunks.flat().map(({ seq }) => seq)
      expect(seqs).toEqual(seqs.map((_, i) => i + 1))
    })

    test('two readers of one process may not have the same name', async () => {
      const stream = await openStream()
      const name = newName()
      stream.reader(name, async () => {})
      expect(() => stream.reader(name, async () => {})).toThrow(expect.objectContaining({ code: 'conflict' }))
    })
  })

  describe('a broken connection', () => {
    test('appends are stored or refused, never lost after being acknowledged; then all goes on', async () => {
      const stream = await openStream({ batchRecords: 20 })
      const tenure = await log.tenure()
      const writer = await stream.writer(tenure)
      const name = newName()
      const reader = stream.reader(name, recordEffects(name))
      await reader.start()
      const acknowledged = new Set<string>()
      const refusals = new Set<string>()
      let writing = true
      const lane = async (_: unknown, lane: number) => {
        for (let n = 0; writing; n++) {
          const messageKey = randomBytes(16)
          try {
            await writer.append({ kind: 'events', payload: json({ lane, n }), paths: [], messageKey })
            acknowledged.add(messageKey.toString('hex'))
          } catch (error) {
            refusals.add((error as { code: string }).code)
            await new Promise((resolve) => setTimeout(resolve, 1))
          }
        }
      }
      const lanes = Array.from({ length: 50 }, lane)
      for (let i = 0; i < 3; i++) {
        const before = acknowledged.size
        await vi.waitFor(() => expect(acknowledged.size).toBeGreaterThan(before + 200), PATIENCE)
        await log.breakConnections()
      }
      const before = acknowledged.size
      await vi.waitFor(() => expect(acknowledged.size).toBeGreaterThan(before + 200), PATIENCE)
      writing = false
      await Promise.all(lanes)
      // None at all when each break fell between two batches.
      expect([...refusals].filter((code) => code !== 'unavailable')).toEqual([])
      const stored = (await stream.recentMessageKeys(tenure.tenureId, 1e6)).map((key) => key.toString('hex'))
      expect(new Set(stored).size).toBe(stored.length)
      expect([...acknowledged].filter((key) => !stored.includes(key))).toEqual([])
      await caughtUp(stream, reader)
      const seen = await effects(log.database, name)
      expect(seen).toEqual(seen.map((_, i) => i + 1))
    })

    test('wake-ups from other processes come again', async () => {
      const [stream, elsewhere] = [await openStream({ pollMs: 1e9 }), await openStream()]
      const reader = stream.reader(newName(), async () => {})
      await reader.start()
      await caughtUp(stream, reader)
      await log.breakConnections()
      const reconnects = (s: Stream) => s.stats().stream_reconnects_total
      await vi.waitFor(() => expect([stream, elsewhere].map(reconnects)).toEqual([1, 1]), PATIENCE)
      await append(await elsewhere.writer(await log.tenure()), 1)
      await vi.waitFor(() => expect(reader.position).toBe(elsewhere.stats().stream_head), PATIENCE)
    })
  })
}
