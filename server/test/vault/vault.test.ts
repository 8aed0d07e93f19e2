import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccountId, type Clock, createLog, newId, Personal, silentLog } from '../../src/core/index.ts'
import { createKeys, type Keys, keysMigrations, memoryKeyProvider } from '../../src/keys/index.ts'
import { createVault, type PersonKind, type Vault, vaultMigrations } from '../../src/vault/index.ts'
import { createTestDatabase } from '../support/database.ts'
import { findIn } from '../support/hollow.ts'

let database: Awaited<ReturnType<typeof createTestDatabase>>
let keys: Keys
let vault: Vault
const provider = memoryKeyProvider()
const clock: Clock = { nowMs: () => Date.UTC(2026, 0, 2, 3, 4, 5) }
const NOT_FOUND = { name: 'AppError', code: 'not_found' }

beforeAll(async () => {
  database = await createTestDatabase([keysMigrations, vaultMigrations])
  keys = createKeys({ provider, database, clock, log: silentLog })
  await keys.start()
  vault = createVault({ database, keys, clock, log: silentLog })
})
afterAll(() => database.drop())

async function add(email: string, name = 'Ada', kind: PersonKind = 'customer') {
  const accountId = newId<AccountId>()
  const person = { accountId, kind, email: new Personal(email), name: new Personal(name) }
  return { accountId, outcome: await database.transaction((tx) => vault.add(tx, person)) }
}
const find = (email: string, kind: PersonKind = 'customer') => vault.findByEmail(kind, new Personal(email))
const rowOf = async (id: AccountId) =>
  (await database.pool.query('select * from vault.person where account_id = $1', [id])).rows[0]
const count = async (table: string) =>
  (await database.pool.query(`select count(*)::int as n from ${table}`)).rows[0].n

describe('a person in the vault', () => {
  it('is found by their address however it is written, and read as they wrote it', async () => {
    const { accountId, outcome } = await add(' Grace.Hopper@Example.com ', ' Grace\u00a0Hopper ')
    expect(outcome).toBe('added')
    for (const way of [
      'grace.hopper@example.com',
      'GRACE.HOPPER@EXAMPLE.COM',
      '\tGrace.Hopper@Example.com ',
    ]) {
      expect(await find(way)).toBe(accountId)
    }
    const person = await vault.read(accountId)
    expect(person.email.reveal()).toBe('Grace.Hopper@Example.com')
    expect(person.name.reveal()).toBe('Grace\u00a0Hopper')
  })

  it('is found by composed and decomposed letters alike', async () => {
    const { accountId } = await add('zoe\u0308@example.com')
    expect(await find('zo\u00eb@example.com')).toBe(accountId)
    expect((await add('ZO\u00cb@example.com')).outcome).toBe('taken')
  })

  it('has an address that is taken once for each kind', async () => {
    const first = await add('twice@example.com')
    expect((await add('TWICE@example.com')).outcome).toBe('taken')
    const operator = await add('twice@example.com', 'Op', 'operator')
    expect(operator.outcome).toBe('added')
    expect(await find('twice@example.com')).toBe(first.accountId)
    expect(await find('twice@example.com', 'operator')).toBe(operator.accountId)
    const digests = [await rowOf(first.accountId), await rowOf(operator.accountId)].map(
      (row) => row.email_index,
    )
    expect(digests[0]).not.toEqual(digests[1])
  })

  it('that signs up with a taken address leaves nothing behind, and the transaction goes on', async () => {
    await add('busy@example.com')
    const before = [await count('vault.person'), await count('keys.wrapped_key')]
    await database.transaction(async (tx) => {
      const person = { accountId: newId<AccountId>(), kind: 'customer' as const }
      const fields = { email: new Personal('busy@example.com'), name: new Personal('Other') }
      expect(await vault.add(tx, { ...person, ...fields })).toBe('taken')
      expect(await vault.add(tx, { ...person, ...fields, email: new Personal('free@example.com') })).toBe(
        'added',
      )
    })
    expect([await count('vault.person'), await count('keys.wrapped_key')]).toEqual(before.map((n) => n + 1))
  })

  it('is added once when two sign up with one address at the same time', async () => {
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => add('race@example.com')))
    expect(outcomes.map((each) => each.outcome).sort()).toEqual(['added', ...Array(5).fill('taken')])
  })

  it('that is unknown is not found', async () => {
    const unknown = newId<AccountId>()
    expect(await find('nobody@example.com')).toBeUndefined()
    expect(await find('no address')).toBeUndefined()
    await expect(vault.read(unknown)).rejects.toMatchObject(NOT_FOUND)
    await expect(vault.export(unknown)).rejects.toMatchObject(NOT_FOUND)
    await expect(database.transaction((tx) => vault.erase(tx, unknown))).rejects.toMatchObject(NOT_FOUND)
  })

  it('is not added with something that is no address or no name', async () => {
    await expect(add('no address')).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(add('fine@example.com', ' ')).rejects.toMatchObject({ code: 'invalid_request' })
    expect(await find('fine@example.com')).toBeUndefined()
  })

  it('can take out all that is kept of them', async () => {
    const { accountId } = await add('export@example.com', 'Ex Port')
    const all = await vault.export(accountId)
    expect(all).toMatchObject({ accountId, kind: 'customer', createdHourMs: Date.UTC(2026, 0, 2, 3) })
    expect([all.email.reveal(), all.name.reveal()]).toEqual(['export@example.com', 'Ex Port'])
  })

  it('prints nothing of themselves, in no form', async () => {
    const { accountId } = await add('silent@example.com', 'Sil Ent')
    const lines: string[] = []
    const log = createLog({ destination: { write: (line) => lines.push(line) } })
    const person = await vault.export(accountId)
    log.error('a person', { person, ...person, nested: [person] })
    const printed = [
      ...lines,
      `${person.email} ${person.name}`,
      JSON.stringify({ person }),
      inspect(person, { depth: 9, showHidden: true, getters: true }),
      Object.entries(person.email).join(),
    ].join('\n')
    expect(lines).toHaveLength(1)
    expect(printed).not.toContain('silent@')
    expect(printed).not.toContain('Sil Ent')
  })
})

describe('erasure', () => {
  it('takes the row and the key: not even the old row opens again', async () => {
    const { accountId } = await add('gone@example.com')
    const row = await rowOf(accountId)
    await database.transaction((tx) => vault.erase(tx, accountId))
    expect(await find('gone@example.com')).toBeUndefined()
    await expect(vault.read(accountId)).rejects.toMatchObject(NOT_FOUND)

    // Somebody puts the row back, from a backup for instance.
    await database.pool.query(
      `insert into vault.person select * from json_populate_record(null::vault.person, $1)`,
      [JSON.stringify({ ...row, ...hexed(row) })],
    )
    await expect(vault.read(accountId)).rejects.toMatchObject(NOT_FOUND)
    await database.pool.query('delete from vault.person where account_id = $1', [accountId])
    expect((await add('gone@example.com')).outcome).toBe('added')
  })

  it('that is rolled back erases nothing', async () => {
    const { accountId } = await add('stays@example.com')
    await expect(
      database.transaction(async (tx) => {
        await vault.erase(tx, accountId)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect((await vault.read(accountId)).email.reveal()).toBe('stays@example.com')
  })
})

describe('a tampered row', () => {
  it.each(['email', 'name'])('does not open with the %s of somebody else', async (column) => {
    const [a, b] = [await add(`a-${column}@example.com`), await add(`b-${column}@example.com`)]
    await database.pool.query(
      `update vault.person t set ${column} = s.${column} from vault.person s where s.account_id = $1 and t.account_id = $2`,
      [a.accountId, b.accountId],
    )
    await expect(vault.read(b.accountId)).rejects.toMatchObject({ code: 'integrity_failed' })
  })

  it('does not open with name and e-mail exchanged, nor with the key of somebody else', async () => {
    const [a, b] = [await add('x-swap@example.com'), await add('y-swap@example.com')]
    await database.pool.query('update vault.person set email = name, name = email where account_id = $1', [
      a.accountId,
    ])
    await expect(vault.read(a.accountId)).rejects.toMatchObject({ code: 'integrity_failed' })
    await database.pool.query(
      `update vault.person t set key_id = s.key_id from vault.person s where s.account_id = $1 and t.account_id = $2`,
      [a.accountId, b.accountId],
    )
    await expect(vault.read(b.accountId)).rejects.toMatchObject({ code: 'integrity_failed' })
  })
})

describe('a copy of the tables', () => {
  const columns = async () => {
    const files = new Map<string, Buffer>()
    for (const schema of ['vault', 'keys', 'core']) {
      const { rows: tables } = await database.pool.query(
        'select table_name from information_schema.tables where table_schema = $1',
        [schema],
      )
      for (const { table_name } of tables) {
        const { rows } = await database.pool.query(`select * from ${schema}.${table_name}`)
        rows.forEach((row, i) => {
          for (const [column, value] of Object.entries(row)) {
            const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
            files.set(`${schema}.${table_name}.${column}[${i}]`, bytes)
          }
        })
      }
    }
    return files
  }

  it('holds no e-mail and no name, in no encoding and under no unkeyed hash', async () => {
    const email = 'Hollow.Copy@Example.org'
    await add(email, 'Hollow Copy')
    const known = {
      'e-mail': email,
      'normalised e-mail': email.toLowerCase(),
      'indexed e-mail': JSON.stringify(['customer', email.toLowerCase()]),
      'kind and e-mail': `customer${email.toLowerCase()}`,
      'local part': 'hollow.copy',
      name: 'Hollow Copy',
    }
    const tables = await columns()
    expect(tables.size).toBeGreaterThan(20)
    expect(findIn(tables, known)).toEqual([])
    // The search itself finds what it should find.
    tables.set('planted', Buffer.from(`xx${Buffer.from(`y${email}`).toString('base64')}`))
    expect(findIn(tables, known).length).toBeGreaterThan(0)
  })

  it('gives every e-mail and every name the same length', async () => {
    await add('a@b.example', 'X')
    await add(`${'l'.repeat(64)}@${'d'.repeat(60)}.${'e'.repeat(60)}.example`, 'N'.repeat(254))
    const { rows } = await database.pool.query(
      'select distinct octet_length(email) as email, octet_length(name) as name from vault.person',
    )
    expect(rows).toEqual([{ email: 287, name: 287 }])
  })
})

describe('after a new root key version', () => {
  it('people are still found, taken addresses stay taken, and rows move to the new index when read', async () => {
    const { accountId } = await add('old@example.com')
    const before = (await rowOf(accountId)).email_index
    await provider.addVersion()
    await keys.start()
    await keys.rewrap()

    expect(await find('old@example.com')).toBe(accountId)
    expect((await rowOf(accountId)).email_index).toEqual(before)
    expect((await add('OLD@example.com')).outcome).toBe('taken')

    expect((await vault.read(accountId)).email.reveal()).toBe('old@example.com')
    const after = (await rowOf(accountId)).email_index
    expect(after).not.toEqual(before)
    expect(await find('old@example.com')).toBe(accountId)
    expect((await add('old@example.com')).outcome).toBe('taken')
    await vault.read(accountId)
    expect((await rowOf(accountId)).email_index).toEqual(after)
  })
})

function hexed(row: Record<string, unknown>): Record<string, string> {
  const buffers = Object.entries(row).filter((entry): entry is [string, Buffer] => Buffer.isBuffer(entry[1]))
  return Object.fromEntries(buffers.map(([name, bytes]) => [name, `\\x${bytes.toString('hex')}`]))
}
