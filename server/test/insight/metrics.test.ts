import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRecord } from '../../src/stream/index.ts'
import { startTlsPostgres, type TlsPostgres } from '../support/tls-postgres.ts'
import { createWorld, type Device, OPERATOR, toPostgres, type World } from './support.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Each metric, in a file, in PostgreSQL, and computed here from the sealed records of production. */
describe('metrics over a copy', () => {
  let server: TlsPostgres
  let world: World
  let directory: string
  const devices: Device[] = []

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hearthlock-copies-'))
    server = await startTlsPostgres()
    world = await createWorld({ directory: join(directory, 'copies') })
    // A few weeks of a small fleet.
    world.clock.ms = Date.UTC(2026, 2, 2, 7)
    let draw = 1
    const random = (below: number) => {
      draw = (draw * 48_271) % 2_147_483_647
      return draw % below
    }
    for (let hour = 0; hour < 24 * 20; hour += 5) {
      world.clock.ms += 5 * HOUR_MS
      if (hour % 25 === 0) {
        const device = await world.device()
        devices.push(device)
        await world.append(device, 'availability', { online: true })
        if (random(2) === 0)
          await world.append(device, 'attributes', { '0/BasicInformation.SoftwareVersion': 101 + random(2) })
      }
      for (const device of devices) {
        const choice = random(8)
        if (choice === 0)
          await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': random(201) })
        if (choice === 1)
          await world.append(device, 'attributes', { 'WiFiNetworkDiagnostics.Rssi': -30 - random(60) })
        if (choice === 2)
          await world.append(device, 'results', { id: randomUUID(), status: random(3) ? 'SUCCESS' : 'BUSY' })
        if (choice === 3) await world.append(device, 'availability', { online: random(2) === 0 })
        if (choice === 4) await world.append(device, 'attributes', { 'DoorLock.LockState': 'Locked' })
      }
      world.counted.push({
        seq: world.counted.length + 1,
        hourMs: world.clock.ms - (world.clock.ms % HOUR_MS),
        model: 'test-lock',
        firmware: String(100 + random(3)),
        outcome: random(4) ? 'accepted' : 'credentials',
        count: 1 + random(9),
      })
    }
    await world.insight.create(world.wish({ name: 'file' }))
    await world.insight.create(world.wish({ ...toPostgres(server), name: 'database' }))
    await world.insight.tick()
  })
  afterAll(async () => {
    await world.close()
    await server.close()
    await rm(directory, { recursive: true, force: true })
  })

  interface Fact {
    day: string
    hourMs: number
    tenure: string
    firmware: string
    kind: string
    content: Record<string, unknown>
  }

  const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)

  /** Everything that production knows, opened. */
  async function production(): Promise<Fact[]> {
    const facts: Fact[] = []
    const firmware = new Map<string, string>()
    for (let after = 0; ; ) {
      const records = await world.stream.read(after)
      if (records.length === 0) return facts
      for (const record of records) {
        after = record.seq
        const device = devices.find(({ tenure }) => tenure.tenureId === record.tenureId) as Device
        const { receivedAtMs, payload } = openRecord(await world.keys.open(device.tenure.keyId), record)
        const content = JSON.parse(payload.toString())
        const version = content['0/BasicInformation.SoftwareVersion']
        if (version) firmware.set(record.tenureId, String(version))
        facts.push({
          day: dayOf(receivedAtMs),
          hourMs: receivedAtMs - (receivedAtMs % HOUR_MS),
          tenure: record.tenureId,
          firmware: firmware.get(record.tenureId) ?? '1.0.0',
          kind: record.kind,
          content,
        })
      }
    }
  }

  function count<T>(items: readonly T[], key: (item: T) => (string | number)[]): (string | number)[][] {
    const counted = new Map<string, number>()
    for (const item of items) {
      const name = JSON.stringify(key(item))
      counted.set(name, (counted.get(name) ?? 0) + 1)
    }
    return [...counted].map(([name, number]) => [...JSON.parse(name), number]).sort(compare)
  }

  function compare(a: (string | number)[], b: (string | number)[]): number {
    for (const [at, each] of a.entries()) {
      const other = b[at] as string | number
      if (each !== other) return each < other ? -1 : 1
    }
    return 0
  }

  /** Dates and hours in one form, whatever the destination's client makes of them. */
  async function answers(copy: string, metric: string): Promise<(string | number | null)[][]> {
    const { rows } = await world.insight.metric(copy, metric)
    return rows
      .map((row) =>
        row.map((cell) =>
          typeof cell === 'string' && /^\d{4}-\d\d-\d\dT/.test(cell) ? cell.slice(0, 13) : cell,
        ),
      )
      .map((row) =>
        row.map((cell) => (typeof cell === 'string' && /T00$/.test(cell) ? cell.slice(0, 10) : cell)),
      )
      .sort(compare as never)
  }

  it('gives the same from a file and from a database, for each metric that there is', async () => {
    for (const { name } of world.insight.metrics) {
      const [file, database] = [await answers('file', name), await answers('database', name)]
      expect({ name, rows: file }).toEqual({ name, rows: database })
      expect({ name, some: file.length > 0 }).toEqual({ name, some: true })
    }
  })

  it('equals production, exactly', async () => {
    const facts = await production()
    const first = devices.map(({ tenure }) => facts.find((fact) => fact.tenure === tenure.tenureId) as Fact)
    const began = (tenureId: string) =>
      devices.find(({ tenure }) => tenure.tenureId === tenureId)?.tenure.startedHourMs as number
    const activations = count(first, (fact) => [dayOf(began(fact.tenure)), 'test-lock', fact.firmware])
    expect(await answers('file', 'activations')).toEqual(activations)

    const attempts = new Map<string, { failed: number; all: number }>()
    for (const { hourMs, firmware, outcome, count: times } of world.counted) {
      const name = JSON.stringify([
        new Date(hourMs).toISOString().slice(0, 13).replace(/T00$/, ''),
        'test-lock',
        firmware,
      ])
      const known = attempts.get(name) ?? { failed: 0, all: 0 }
      attempts.set(name, {
        failed: known.failed + (outcome === 'accepted' ? 0 : times),
        all: known.all + times,
      })
    }
    const rates = [...attempts].map(([name, { failed, all }]) => [
      ...JSON.parse(name),
      failed,
      all,
      Math.round((failed / all) * 1e4) / 1e4,
    ])
    const answered = await answers('file', 'failed-connections')
    expect(answered).toEqual(rates.sort(compare))

    const active = [...new Set(facts.map((fact) => JSON.stringify([fact.day, fact.tenure])))].map((each) =>
      JSON.parse(each),
    )
    expect(await answers('file', 'daily-active')).toEqual(count(active, ([day]) => [day, 'test-lock']))

    const batteries = facts.filter(({ content }) => 'PowerSource.BatPercentRemaining' in content)
    const step = ({ content }: Fact) =>
      Math.min(Math.floor((content['PowerSource.BatPercentRemaining'] as number) / 20), 9) * 10
    expect(await answers('file', 'battery')).toEqual(
      count(batteries, (fact) => [fact.day, 'test-lock', step(fact)]),
    )

    const results = facts.filter(({ kind }) => kind === 'results')
    const byDay = Object.entries(Object.groupBy(results, ({ day }) => day)).map(([day, all = []]) => {
      const good = all.filter(({ content }) => content.status === 'SUCCESS').length
      return [day, 'test-lock', good, all.length, Math.round((good / all.length) * 1e4) / 1e4]
    })
    expect((await answers('file', 'commands')).map((row) => [...row.slice(0, 4), Number(row[4])])).toEqual(
      byDay.sort(compare),
    )
  })

  it('hides what stands for fewer than the smallest group', async () => {
    await world.insight.create(world.wish({ name: 'shy', minGroup: 5 }))
    await world.insight.tick()
    const { rows, hidden } = await world.insight.metric('shy', 'daily-active')
    expect(rows.length).toBeGreaterThan(0)
    expect(rows.every((row) => Number(row[2]) >= 5)).toBe(true)
    const all = await world.insight.metric('file', 'daily-active')
    expect(hidden).toBe(all.rows.length - rows.length)
    expect(hidden).toBeGreaterThan(0)
  })

  it('is refused, by the name of what is missing, where the copy has not got the field', async () => {
    await world.insight.create(world.wish({ name: 'small', fields: ['device.model'] }))
    await expect(world.insight.metric('small', 'battery')).rejects.toMatchObject({
      code: 'conflict',
      message: 'This copy cannot answer that: it was made without PowerSource.BatPercentRemaining.',
    })
    await expect(world.insight.metric('file', 'salaries')).rejects.toMatchObject({ code: 'not_found' })
  })

  it('keeps its file from everybody else, and takes it away when the copy is burned', async () => {
    const folder = join(directory, 'copies')
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    const names = await readdir(folder)
    expect(names.some((name) => name.endsWith('.wal'))).toBe(true)
    for (const name of names) {
      expect({ name, mode: (await stat(join(folder, name))).mode & 0o777 }).toEqual({ name, mode: 0o600 })
    }
    const { copyId } = await world.insight.copy('shy')
    const bytes = await readFile(join(folder, `${copyId}.duckdb`))
    for (const { tenure } of devices) {
      for (const id of [tenure.tenureId, tenure.deviceId, tenure.householdId]) {
        expect(bytes.includes(id)).toBe(false)
        expect(bytes.includes(Buffer.from(id.replaceAll('-', ''), 'hex'))).toBe(false)
      }
    }
    await world.insight.burn(copyId, OPERATOR)
    expect((await readdir(folder)).filter((name) => name.startsWith(copyId))).toEqual([])
  })

  it('goes on after a restart, and refuses to begin anew where its file is gone', async () => {
    await world.insight.close()
    world.insight = world.open()
    const device = devices[0] as Device
    world.clock.ms += DAY_MS
    await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 1 })
    await world.insight.tick()
    const { copyId, filled } = await world.insight.copy('file')
    expect(filled).toBe(await world.stream.head())
    await world.insight.close()
    await rm(join(directory, 'copies', `${copyId}.duckdb`))
    world.insight = world.open()
    await world.append(device, 'attributes', { 'PowerSource.BatPercentRemaining': 2 })
    await world.insight.tick()
    expect(await world.insight.copy('file')).toMatchObject({
      state: 'filling',
      problem: 'destination_refused',
      filled,
    })
  })
})
