import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  bigintArray,
  byteaArray,
  idFromBytes,
  type RecordId,
  smallintArray,
  timeArray,
  uuidArray,
} from '../../src/core/index.ts'
import { createTestDatabase } from '../support/database.ts'

/** The judge is PostgreSQL itself: what it reads from our bytes, and what it writes for the same array. */
describe('arrays in binary format', () => {
  let database: Awaited<ReturnType<typeof createTestDatabase>>
  let client: pg.Client

  beforeAll(async () => {
    database = await createTestDatabase()
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
  })
  afterAll(async () => {
    await client.end()
    await database.drop()
  })

  /** Elements as PostgreSQL read them, as text; and whether it would have sent the very same bytes. */
  async function ask(type: string, array: Buffer): Promise<{ elements: (string | null)[]; same: boolean }> {
    const { rows } = await client.query<{ elements: (string | null)[]; bytes: Buffer }>({
      name: `ask-${type}`,
      text: `select $1::${type}[]::text[] as elements, array_send($1::${type}[]) as bytes`,
      values: [array],
    })
    const row = rows[0]
    return { elements: row?.elements ?? [], same: row?.bytes.equals(array) ?? false }
  }

  const bytes = (length: number) =>
    fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array))
  const options = { numRuns: 60 }

  test('uuid', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(bytes(16), { maxLength: 20 }), async (ids) => {
        const texts = ids.map((id) => idFromBytes<RecordId>(id))
        expect(await ask('uuid', uuidArray(ids))).toEqual({ elements: texts, same: true })
        expect(uuidArray(texts)).toEqual(uuidArray(ids))
      }),
      options,
    )
  })

  test('smallint', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: -32_768, max: 32_767 })), async (numbers) => {
        expect(await ask('smallint', smallintArray(numbers))).toEqual({
          elements: numbers.map(String),
          same: true,
        })
      }),
      options,
    )
  })

  test('bigint', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.maxSafeInteger()), async (numbers) => {
        expect(await ask('bigint', bigintArray(numbers))).toEqual({
          elements: numbers.map(String),
          same: true,
        })
      }),
      options,
    )
  })

  test('timestamptz', async () => {
    const time = fc.integer({ min: Date.UTC(1900, 0), max: Date.UTC(2200, 0) })
    await client.query(`set time zone 'UTC'`)
    await fc.assert(
      fc.asyncProperty(fc.array(time), async (times) => {
        const { elements, same } = await ask('timestamptz', timeArray(times))
        expect(elements.map((text) => Date.parse(`${text}:00`))).toEqual(times)
        expect(same).toBe(true)
      }),
      options,
    )
  })

  test('bytea with nulls and empty values', async () => {
    const value = fc.option(fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)))
    await fc.assert(
      fc.asyncProperty(fc.array(value), async (values) => {
        expect(await ask('bytea', byteaArray(values))).toEqual({
          elements: values.map((one) => (one ? `\\x${one.toString('hex')}` : null)),
          same: true,
        })
      }),
      options,
    )
  })
})
