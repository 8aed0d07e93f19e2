import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type AccountId,
  type CopyId,
  migrate,
  newId,
  silentLog,
  type TenureId,
} from '../../src/core/index.ts'
import { createAffected } from '../../src/guard/affected.ts'
import { guardMigrations } from '../../src/guard/index.ts'
import { insightMigrations } from '../../src/insight/index.ts'
import { createLedger } from '../../src/insight/ledger.ts'
import { createKeys } from '../../src/keys/index.ts'
import { guest, HOUR_MS, type Home, held, home, join } from '../registry/people.ts'
import { createWorld, START_MS, type World } from '../registry/world.ts'

/**
 * Random histories of homes, of their people, devices and of a copy that is filled with their data, beside the truth in a few
 * lists. The affected list must be equal to the truth, person by person and field by field.
 */
let world: World
const officer = newId<AccountId>()
const T0 = START_MS - (START_MS % HOUR_MS)
const FIELDS = ['device.model', 'OnOff.OnOff', 'connection.outcome']

beforeAll(async () => {
  world = await createWorld()
  await migrate(world.database, [guardMigrations, insightMigrations], () => {})
})
afterAll(() => world.close())

interface Stay {
  who: AccountId
  home: number
  /** Of a guest. */
  tenure?: TenureId
  from: number
  to: number
}
interface Holding {
  tenureId: TenureId
  deviceId: never
  home: number
  from: number
  to: number
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('hours' as const), hours: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('claim' as const), home: fc.nat(1) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('adult' as const), home: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('guest' as const), which: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('remove' as const), which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), which: fc.nat(9) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('feed' as const),
      tenures: fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }),
      fields: fc.uniqueArray(fc.nat(FIELDS.length - 1), { minLength: 1 }),
    }),
  },
)

test('the affected list is equal to the truth, for random histories and windows', async () => {
  const keys = createKeys({
    provider: world.provider,
    database: world.database,
    clock: { nowMs: () => world.time.nowMs },
    log: silentLog,
  })
  await keys.start()
  const ledger = createLedger({ database: world.database, keys })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 30 }), fc.nat(200), async (steps, until) => {
      let now = 0
      const copyId = newId<CopyId>()
      const stays: Stay[] = []
      const holdings: Holding[] = []
      const fed: { tenureId: TenureId; fields: string[]; at: number }[] = []
      await moveTo(0)
      const homes: Home[] = [await home(world), await home(world)]
      for (const [at, { owner }] of homes.entries())
        stays.push({ who: owner, home: at, from: 0, to: Number.POSITIVE_INFINITY })

      for (const [number, each] of steps.entries()) {
        const open = holdings.filter(({ to }) => to === Number.POSITIVE_INFINITY)
        if (each.kind === 'hours') {
          now += each.hours
          await moveTo(now)
        } else if (each.kind === 'claim') {
          const tenure = await held(world, homes[each.home] as Home)
          holdings.push({
            tenureId: tenure.tenureId,
            deviceId: tenure.deviceId as never,
            home: each.home,
            from: now,
            to: Number.POSITIVE_INFINITY,
          })
        } else if (each.kind === 'adult') {
          const who = await join(world, homes[each.home] as Home, { role: 'adult' })
          stays.push({ who, home: each.home, from: now, to: Number.POSITIVE_INFINITY })
        } else if (each.kind === 'guest') {
          const of = open[each.which % Math.max(1, open.length)]
          if (!of) continue
          const terms = guest(world, [{ deviceId: of.deviceId, acts: ['view'] }], {
            untilMs: world.time.nowMs + 365 * 24 * HOUR_MS,
          })
          const who = await join(world, homes[of.home] as Home, terms)
          stays.push({ who, home: of.home, tenure: of.tenureId, from: now, to: Number.POSITIVE_INFINITY })
        } else if (each.kind === 'remove') {
          const leaving = stays.filter(
            ({ who, to }) => to === Number.POSITIVE_INFINITY && !homes.some(({ owner }) => owner === who),
          )
          const stay = leaving[each.which % Math.max(1, leaving.length)]
          if (!stay) continue
          const { owner, householdId } = homes[stay.home] as Home
          await world.registry.removeMember({ accountId: owner, householdId, memberId: stay.who })
          stay.to = now
        } else if (each.kind === 'release') {
          const of = open[each.which % Math.max(1, open.length)]
          if (!of) continue
          const { owner } = homes[of.home] as Home
          await world.registry.release({ accountId: owner, deviceId: of.deviceId, history: 'kept' })
          of.to = now
          for (const stay of stays) if (stay.tenure === of.tenureId && stay.to > now) stay.to = now
        } else {
          const chosen = new Set(
            each.tenures.map((which) => holdings[which % Math.max(1, holdings.length)]?.tenureId),
          )
          chosen.delete(undefined)
          if (chosen.size === 0) continue
          const fields = each.fields.map((field) => FIELDS[field] as string)
          const entries = new Map([...chosen].map((tenureId) => [tenureId as TenureId, new Set(fields)]))
          const batch = { copyId, batch: number + 1, atMs: world.time.nowMs }
          await world.database.transaction((tx) => ledger.prepare(tx, batch, entries))
          await world.database.transaction((tx) => ledger.settle(tx, batch, entries))
          for (const tenureId of entries.keys()) fed.push({ tenureId, fields, at: now })
        }
      }

      const affected = createAffected({
        database: world.database,
        keys,
        clock: { nowMs: () => world.time.nowMs },
        recordAct: async () => {},
        touched: ({ toMs }) => ledger.touched(copyId, 0, toMs),
        present: world.registry.present,
      })
      const toMs = T0 + until * HOUR_MS
      const list = await affected.make({ store: 'quality', fromMs: 0, toMs }, officer)
      const found = new Map(
        (await affected.people(list.affectedId, officer, { limit: 1_000 })).map((one) => [
          one.accountId,
          one.fields,
        ]),
      )

      const truth = new Map<AccountId, Set<string>>()
      const reached = fed.filter(({ at }) => at <= until)
      for (const { tenureId, fields } of reached) {
        const of = holdings.find((holding) => holding.tenureId === tenureId) as Holding
        for (const { who, home: at, tenure, from, to } of stays) {
          const there = at === of.home && (tenure === undefined || tenure === tenureId)
          if (!there || from > Math.min(until, of.to) || to < of.from) continue
          const theirs = truth.get(who) ?? new Set()
          for (const field of fields) theirs.add(field)
          truth.set(who, theirs)
        }
      }
      expect(new Set(found.keys())).toEqual(new Set(truth.keys()))
      for (const [who, fields] of truth) expect(found.get(who)).toEqual([...fields].sort())
      expect(list.people).toBe(truth.size)
      expect(list.tenures).toBe(new Set(reached.map(({ tenureId }) => tenureId)).size)
      for (const { name, people } of list.fields) {
        expect(people).toBe([...truth.values()].filter((fields) => fields.has(name)).length)
      }
    }),
    { numRuns: 25 },
  )
}, 240_000)

/** The database's own clock, which its triggers use, moves with the world's. */
async function moveTo(hours: number): Promise<void> {
  world.time.nowMs = START_MS + hours * HOUR_MS
  const now = new Date(world.time.nowMs).toISOString()
  await sql`create or replace function registry.this_hour() returns timestamptz language sql stable
    as $$ select date_trunc('hour', timestamptz '${sql.raw(now)}', 'UTC') $$`.execute(world.database.queries)
}
