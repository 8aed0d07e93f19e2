import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLog, newId, Personal, Secret } from '../../src/core/index.ts'
import { findIn } from '../support/hollow.ts'
import { createMailWorld, type MailWorld } from './support.ts'

let world: MailWorld
beforeEach(async () => {
  world = await createMailWorld()
})
afterEach(() => world.close())

const CODE = 'K7QWM-4ZD0P-MARKED'
const to = new Personal('marked.ada@example.org')
const letter = { kind: 'recovery_code', code: new Secret(CODE) } as const
const operator = newId<never>()

describe('without a mail server', () => {
  it('a letter stays in the outbox, where an operator reads it, and every showing is logged', async () => {
    const lines: string[] = []
    const log = createLog({ level: 'warn', destination: { write: (line) => void lines.push(line) } })
    const mail = await world.node({ log })
    expect(mail.sends).toBe(false)
    await world.database.transaction((tx) => mail.enqueue(tx, { to, letter }))
    const [waiting] = await mail.waiting()
    expect(waiting).toMatchObject({ kind: 'recovery_code', attempts: 0 })
    const shown = await mail.show(waiting?.letterId ?? '', operator)
    expect(shown.to.reveal()).toBe('marked.ada@example.org')
    expect(shown.text.reveal()).toContain(CODE)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(operator)
    expect(lines[0]).toContain(waiting?.letterId)
    expect(lines.join()).not.toContain('marked')
    expect(lines.join()).not.toContain(CODE)
  })

  it('a letter to an account goes to the address that the account has then', async () => {
    const mail = await world.node()
    const accountId = await world.person('later@example.org')
    await world.database.transaction((tx) => mail.enqueue(tx, { to: accountId, letter }))
    const [waiting] = await mail.waiting()
    expect((await mail.show(waiting?.letterId ?? '', operator)).to.reveal()).toBe('later@example.org')
  })

  it('a letter is gone after a week', async () => {
    const mail = await world.node()
    await world.database.transaction((tx) => mail.enqueue(tx, { to, letter }))
    world.clock.advance(6.9 * 86_400)
    const other = await world.node()
    expect(await other.waiting()).toHaveLength(1)
    world.clock.advance(0.3 * 86_400)
    await (await world.node()).close()
    expect(await mail.waiting()).toHaveLength(0)
  })

  it('what is not there is not shown', async () => {
    const mail = await world.node()
    for (const id of [newId<never>(), 'no id']) {
      await expect(mail.show(id, operator)).rejects.toMatchObject({ code: 'not_found' })
    }
  })
})

it('a letter of a transaction that is rolled back was never written', async () => {
  const mail = await world.node()
  await expect(
    world.database.transaction(async (tx) => {
      await mail.enqueue(tx, { to, letter })
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  expect(await mail.waiting()).toEqual([])
})

it('a copy of the table tells neither addressee nor code nor kind, and no time finer than an hour', async () => {
  const mail = await world.node()
  await world.database.transaction(async (tx) => {
    await mail.enqueue(tx, { to, letter })
    await mail.enqueue(tx, { to, letter: { kind: 'recovered' } })
  })
  const { rows } = await world.database.pool.query('select * from mail.outbox')
  const files = new Map<string, Buffer>()
  for (const [i, row] of rows.entries()) {
    for (const [column, value] of Object.entries(row)) {
      files.set(`${column}[${i}]`, Buffer.isBuffer(value) ? value : Buffer.from(String(value)))
    }
    for (const hour of [row.queued_hour, row.try_hour]) expect(hour.getTime() % 3_600_000).toBe(0)
  }
  expect(findIn(files, { address: to.reveal(), code: CODE, kind: 'recovery_code' })).toEqual([])
  expect(new Set(rows.map(({ sealed }) => sealed.length)).size).toBe(1)
})

it('a letter moved to another row does not open', async () => {
  const mail = await world.node()
  await world.database.transaction((tx) => mail.enqueue(tx, { to, letter }))
  const other = newId<never>()
  await world.database.pool.query('update mail.outbox set letter_id = $1', [other])
  await expect(mail.show(other, operator)).rejects.toMatchObject({ code: 'integrity_failed' })
})
