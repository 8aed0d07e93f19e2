import { createHash } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shippedModel } from '../../src/cli/drill.ts'
import { startThrowAway, type ThrowAway } from '../../src/cli/throw-away.ts'
import type { Database } from '../../src/core/index.ts'
import {
  type DrillReport,
  exitCodeOf,
  htmlReport,
  runDrill,
  type Seeded,
  seed,
  textReport,
} from '../../src/drill/index.ts'

/** The drill as `hearthlock drill` runs it: real processes, real ports, real files. */
describe('the drill', { timeout: 300_000 }, () => {
  let at: ThrowAway
  let database: Database
  let seeded: Seeded

  beforeAll(async () => {
    at = await startThrowAway(Date.now)
    seeded = await seed({
      doors: at,
      households: 2,
      models: { lock: await shippedModel('hearth-lock'), bulb: await shippedModel('hearth-bulb') },
      events: 100,
      onProgress: () => {},
    })
    database = await at.openDatabase()
  }, 300_000)

  afterAll(async () => {
    await seeded?.close()
    await database?.close()
    await at?.close()
  })

  function drill(): Promise<DrillReport> {
    return runDrill({
      where: 'an installation of its own',
      target: at.target(database),
      seeded,
      doors: at,
      tries: 100,
      alsoKnown: [],
      printedForPerson: [at.enrolmentCode],
      workFolder: tmpdir(),
      nowMs: Date.now,
      onProgress: () => {},
    })
  }

  it('finds a real installation hollow, and breaks the store that it planted completely', async () => {
    const report = await drill()
    expect(report.attacks.flatMap(({ findings }) => findings)).toEqual([])
    expect(report.failures).toEqual([])
    expect(report).toMatchObject({
      verdict: 'hollow',
      peopleNamed: 0,
      credentialsAccepted: 0,
      devicesMoved: 0,
      undeclaredStores: 0,
    })
    expect(exitCodeOf(report)).toBe(0)
    const { control } = report
    expect(control.of.people).toBeGreaterThan(50)
    expect(control.of.credentials).toBeGreaterThan(25)
    expect(control.of.devices).toBe(3)
    expect(control).toMatchObject({
      peopleNamed: control.of.people,
      credentialsAccepted: control.of.credentials,
      devicesMoved: control.of.devices,
    })
    // Looked at what there is to look at: tables, their log of changes, and processes beyond the one that was named.
    const tried = report.attacks.flatMap((attack) => attack.tried).join('\n')
    for (const door of [
      'HTTP bearer token',
      'refresh token',
      'session cookie',
      'recovery code',
      'MQTT password',
      'forged tokens and certificates',
      'good once',
    ]) {
      expect(tried).toContain(door)
    }
    expect(tried).toContain('its start is refused')
    expect(report.stores).toMatchObject([{ name: 'data directory', declared: true }])
    expect(report.search.bytes).toBeGreaterThan(20_000_000)
  })

  it('finds what a careless change would leave (a plain address, a token in a log, the hash of a MAC address, a file elsewhere), and repeats none of it', async () => {
    const [one, two] = seeded.households
    const session = await seeded.owners[0]?.store.load()
    const mac = two?.macAddress.reveal() ?? ''
    await database.pool.query('create table public.careless (owner text, device text)')
    await database.pool.query('insert into public.careless values ($1, $2)', [
      one?.email.reveal(),
      createHash('sha256').update(mac.toLowerCase()).digest('hex'),
    ])
    const log = join(at.dataDir, 'access.log')
    await writeFile(log, `GET /v1/me authorization="DPoP ${session?.accessToken.reveal()}"\n`)
    const temporary = join(at.temporaryDir, 'export.csv')
    await writeFile(temporary, `name;home\n"${two?.name.reveal()}";1\n`)
    try {
      const report = await drill()
      expect(report.verdict).toBe('not hollow')
      expect(exitCodeOf(report)).toBe(1)
      const found = report.attacks.flatMap(({ findings }) => findings)
      const inTable = { where: expect.stringContaining('table public.careless') }
      expect(found).toContainEqual(
        expect.objectContaining({ whose: one?.whose, what: 'e-mail address', ...inTable }),
      )
      expect(found).toContainEqual(
        expect.objectContaining({ whose: two?.whose, what: 'MAC address', how: 'sha256, hex', ...inTable }),
      )
      // The bytes of the files say the same as the statements do.
      expect(found).toContainEqual(
        expect.objectContaining({
          what: 'e-mail address',
          where: expect.stringMatching(/postgres\/(base|pg_wal)\//),
        }),
      )
      expect(found).toContainEqual(
        expect.objectContaining({ what: 'credential', where: expect.stringContaining('access.log') }),
      )
      expect(found).toContainEqual(
        expect.objectContaining({ what: 'name', where: expect.stringContaining('export.csv') }),
      )
      // By household: a drill before this one has tried canaries, and when their finding is called for next stands in the open.
      const homes = new Set(found.map(({ whose }) => whose).filter((whose) => whose?.startsWith('household')))
      expect(homes).toEqual(new Set([one?.whose, two?.whose]))
      expect(report.peopleNamed).toBeGreaterThanOrEqual(2)
      for (const text of [textReport(report), htmlReport(report), JSON.stringify(report)]) {
        for (const { value } of seeded.known) expect(text).not.toContain(value.reveal())
      }
    } finally {
      await database.pool.query('drop table public.careless')
      await rm(log)
      await rm(temporary)
    }
  })
})
