import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  isId,
  type RecordAct,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Affected, AffectedList, AffectedParts, AffectedPerson } from './affected-face.ts'

/** How many tenures are looked up at once. */
const STEP = 2_000
const MAX_PAGE = 1_000

type Sealed = Omit<AffectedList, 'affectedId'>

interface Row {
  affected_id: string
  sealed: Buffer
}

const where = (affectedId: string) => place('guard.affected', affectedId)

/** Lists of whom an exposure touched. Each is made in one transaction: whole, or not at all. */
export function createAffected(
  o: AffectedParts & { database: Database; keys: Pick<Keys, 'purpose'>; clock: Clock; recordAct: RecordAct },
): Affected {
  const { database, clock } = o
  const sealing = o.keys.purpose('guard.affected')

  function open({ affected_id, sealed }: Row): AffectedList {
    const plain = sealing.unseal(where(affected_id), sealed).toString('utf8')
    return { affectedId: affected_id, ...(JSON.parse(plain) as Sealed) }
  }

  /** The people of some tenures, each with a bit for each field. */
  async function add(
    tx: Tx,
    list: { affectedId: string; width: number },
    people: Map<AccountId, { tenures: number; fields: Set<number> }>,
  ): Promise<void> {
    const ids = [...people.keys()]
    const each = [...people.values()]
    const bits = each.map(({ fields }) =>
      Array.from({ length: list.width }, (_, bit) => (fields.has(bit) ? '1' : '0')).join(''),
    )
    await sql`insert into guard.affected_person as person (affected_id, account_id, tenures, fields)
      select ${list.affectedId}, account_id, tenures, fields::varbit
      from unnest(${ids}::uuid[], ${each.map((one) => one.tenures)}::int[], ${bits}::text[]) as p (account_id, tenures, fields)
      on conflict (affected_id, account_id) do update
        set tenures = person.tenures + excluded.tenures, fields = person.fields | excluded.fields`.execute(tx)
  }

  async function countFields(tx: Tx, affectedId: string, names: readonly string[]) {
    const { rows } = await sql<{ bit: number; people: number }>`
      select bit, count(*)::int as people from guard.affected_person, generate_series(0, ${names.length - 1}::int) as bit
      where affected_id = ${affectedId} and get_bit(fields, bit) = 1 group by bit`.execute(tx)
    const counts = new Map(rows.map(({ bit, people }) => [bit, people]))
    // All of them, in the order of their bits: that is how a person's are read.
    return names.map((name, bit) => ({ name, people: counts.get(bit) ?? 0 }))
  }

  return {
    async forget(tx, accountId) {
      await sql`update guard.affected_person set account_id = ${randomUUID()} where account_id = ${accountId}`.execute(
        tx,
      )
    },

    async make(window, by, findingId) {
      const { store, fromMs, toMs } = window
      if (!(fromMs <= toMs)) {
        throw new AppError('invalid_request', { message: 'The window ends before it begins.' })
      }
      const touched = await o.touched(window)
      const names = [...new Set(touched.flatMap(({ fields }) => fields))].sort()
      const bitOf = new Map(names.map((name, bit) => [name, bit]))
      const affectedId = randomUUID()
      const households = new Set<string>()
      const devices = new Set<string>()
      return await database.transaction(async (tx) => {
        await sql`insert into guard.affected (affected_id, sealed) values (${affectedId}, ''::bytea)`.execute(
          tx,
        )
        for (let at = 0; at < touched.length; at += STEP) {
          const some = touched.slice(at, at + STEP)
          const fieldsOf = new Map(
            some.map((one): [TenureId, readonly string[]] => [one.tenureId, one.fields]),
          )
          const present = await o.present(some.map(({ tenureId }) => ({ tenureId, fromMs: 0, toMs })))
          const people = new Map<AccountId, { tenures: number; fields: Set<number> }>()
          for (const { tenureId, householdId, deviceId, accountIds } of present) {
            households.add(householdId)
            devices.add(deviceId)
            for (const accountId of accountIds) {
              const person = people.get(accountId) ?? { tenures: 0, fields: new Set() }
              person.tenures += 1
              for (const name of fieldsOf.get(tenureId) ?? []) person.fields.add(bitOf.get(name) as number)
              people.set(accountId, person)
            }
          }
          await add(tx, { affectedId, width: names.length }, people)
        }
        const { rows } = await sql<{ people: number }>`
          select count(*)::int as people from guard.affected_person where affected_id = ${affectedId}`.execute(
          tx,
        )
        const list: Sealed = {
          store,
          fromMs,
          toMs,
          madeAtMs: clock.nowMs(),
          by,
          ...(findingId !== undefined && { findingId }),
          people: rows[0]?.people ?? 0,
          households: households.size,
          devices: devices.size,
          tenures: touched.length,
          fields: names.length > 0 ? await countFields(tx, affectedId, names) : [],
        }
        const sealed = sealing.seal(where(affectedId), Buffer.from(JSON.stringify(list)))
        await sql`update guard.affected set sealed = ${sealed} where affected_id = ${affectedId}`.execute(tx)
        await o.recordAct(tx, {
          actor: by,
          act: 'affected.listed',
          subject: { kind: 'affected', id: affectedId },
          details: { store, people: list.people, ...(findingId !== undefined && { findingId }) },
        })
        return { affectedId, ...list }
      })
    },

    async get(affectedId) {
      const row = isId(affectedId) ? await find(affectedId) : undefined
      if (!row) throw new AppError('not_found')
      return open(row)
    },

    async list() {
      const { rows } = await sql<Row>`
        select affected_id, sealed from guard.affected order by number desc limit 50`.execute(
        database.queries,
      )
      return rows.map(open)
    },

    async people(affectedId, by, { after, limit }) {
      if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
        throw new AppError('invalid_request', { message: `limit must be from 1 to ${MAX_PAGE}.` })
      }
      const row = isId(affectedId) ? await find(affectedId) : undefined
      if (!row) throw new AppError('not_found')
      const names = open(row).fields.map(({ name }) => name)
      return await database.transaction(async (tx) => {
        const { rows } = await sql<{ account_id: AccountId; tenures: number; fields: string }>`
          select account_id, tenures, fields::text as fields from guard.affected_person
          where affected_id = ${affectedId} and ${after === undefined ? sql`true` : sql`account_id > ${after}`}
          order by account_id limit ${limit}`.execute(tx)
        await o.recordAct(tx, {
          actor: by,
          act: 'affected.read',
          subject: { kind: 'affected', id: affectedId },
          details: { people: rows.length },
        })
        return rows.map(
          ({ account_id, tenures, fields }): AffectedPerson => ({
            accountId: account_id,
            tenures,
            fields: names.filter((_, bit) => fields[bit] === '1'),
          }),
        )
      })
    },
  }

  async function find(affectedId: string): Promise<Row | undefined> {
    const { rows } = await sql<Row>`
      select affected_id, sealed from guard.affected where affected_id = ${affectedId}`.execute(
      database.queries,
    )
    return rows[0]
  }
}
