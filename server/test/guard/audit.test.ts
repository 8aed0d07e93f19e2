import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AccountId, newId, silentLog } from '../../src/core/index.ts'
import { anchorFile, createGuard, type Guard, guardMigrations } from '../../src/guard/index.ts'
import { createKeys, type Keys, keysMigrations, memoryKeyProvider } from '../../src/keys/index.ts'
import { createTestDatabase } from '../support/database.ts'

const clock = { nowMs: () => Date.parse('2026-03-01T10:20:30.400Z') }

describe('the audit log', () => {
  let database: Awaited<ReturnType<typeof createTestDatabase>>
  let keys: Keys
  let guard: Guard
  let directory: string
  let path: string

  beforeEach(async () => {
    database = await createTestDatabase([keysMigrations, guardMigrations])
    keys = createKeys({ database, clock, log: silentLog, provider: memoryKeyProvider() })
    await keys.start()
    directory = await mkdtemp(join(tmpdir(), 'audit-'))
    path = join(directory, 'audit.anchor')
    guard = another()
  })
  afterEach(async () => {
    await guard.close()
    await keys.close()
    await database.drop()
    await rm(directory, { recursive: true })
  })

  function another(): Guard {
    return createGuard({ database, keys, clock, log: silentLog, anchor: anchorFile(path) })
  }

  const act = (n: number) => ({
    actor: 'system' as const,
    act: 'test.done',
    subject: { kind: 'thing', id: String(n) },
  })

  async function record(...numbers: number[]): Promise<void> {
    for (const n of numbers) await database.transaction((tx) => guard.audit.record(tx, act(n)))
  }

  /** As somebody with the server's own access to the database. */
  async function asIntruder(statement: string): Promise<void> {
    const triggers = (state: string) =>
      `alter table guard.audit ${state} trigger user; alter table guard.audit_head ${state} trigger user;`
    await database.pool.query(`${triggers('disable')} ${statement}; ${triggers('enable')}`)
  }

  it('tells who did what to what and when, newest first, page by page', async () => {
    const actor = newId<AccountId>()
    await record(1)
    await database.transaction((tx) =>
      guard.audit.record(tx, {
        actor,
        act: 'operators.roles_changed',
        subject: { kind: 'operator', id: 'x' },
        details: { roles: ['support'] },
      }),
    )
    const first = await guard.audit.page({ limit: 1 })
    expect(first).toEqual({
      entries: [
        {
          seq: 2,
          content: {
            actor,
            act: 'operators.roles_changed',
            subject: { kind: 'operator', id: 'x' },
            details: { roles: ['support'] },
            atMs: clock.nowMs(),
          },
        },
      ],
      next: 2,
    })
    const second = await guard.audit.page({ limit: 1, before: first.next })
    expect(second).toMatchObject({ entries: [{ seq: 1, content: { act: 'test.done' } }] })
    expect(second.next).toBeUndefined()
    await expect(guard.audit.page({ limit: 0 })).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('an act that was rolled back leaves no entry and no gap', async () => {
    await record(1)
    const failing = database.transaction(async (tx) => {
      await guard.audit.record(tx, act(2))
      throw new Error('changed my mind')
    })
    await expect(failing).rejects.toThrow('changed my mind')
    await record(3)
    expect(await guard.audit.verify()).toMatchObject({ intact: true, entries: 2, problems: [] })
  })

  it('keeps one order of acts that are done at once', async () => {
    await Promise.all(Array.from({ length: 30 }, (_, n) => record(n)))
    expect(await guard.audit.verify()).toMatchObject({ intact: true, entries: 30 })
  })

  it('refuses changes, removals and truncation in the database itself', async () => {
    await record(1)
    for (const statement of [
      'update guard.audit set hour = now()',
      'delete from guard.audit',
      'truncate guard.audit',
      'delete from guard.audit_head',
      'truncate guard.audit_head',
      'update guard.audit_head set seq = 0',
    ]) {
      await expect(database.pool.query(statement)).rejects.toThrow('append-only')
    }
  })

  it('holds in plain neither the act nor who did it, and does not tell acts apart by their length', async () => {
    const actor = newId<AccountId>()
    await record(1)
    await database.transaction((tx) =>
      guard.audit.record(tx, { ...act(2), actor, details: { word: 'marzipan'.repeat(20) } }),
    )
    const { rows } = await database.pool.query('select * from guard.audit')
    const bytes = JSON.stringify(rows.map((row) => ({ ...row, sealed: row.sealed.toString('latin1') })))
    for (const word of ['test.done', 'thing', 'marzipan', actor]) expect(bytes).not.toContain(word)
    expect(new Set(rows.map((row) => row.sealed.length)).size).toBe(1)
    expect(rows[0].hour).toEqual(new Date('2026-03-01T10:00:00Z'))
  })

  it('finds an entry that was changed, and shows that it was', async () => {
    await record(1, 2, 3)
    await asIntruder(
      `update guard.audit set sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) where seq = 2`,
    )
    expect(await guard.audit.verify()).toMatchObject({
      intact: false,
      problems: [{ seq: 2, kind: 'changed' }],
    })
    const { entries } = await guard.audit.page({ limit: 10 })
    expect(entries.map(({ seq, content }) => [seq, content !== undefined])).toEqual([
      [3, true],
      [2, false],
      [1, true],
    ])
  })

  it('finds an entry that was put in another’s place, seal, MAC and all', async () => {
    await record(1, 2, 3)
    await asIntruder(`update guard.audit set sealed = (select sealed from guard.audit where seq = 1),
      mac = (select mac from guard.audit where seq = 1) where seq = 2`)
    const { problems } = await guard.audit.verify()
    expect(problems).toContainEqual({ seq: 2, kind: 'changed' })
  })

  it('finds entries that were taken out of the middle', async () => {
    await record(1, 2, 3, 4)
    await asIntruder('delete from guard.audit where seq in (2, 3)')
    expect(await guard.audit.verify()).toMatchObject({
      intact: false,
      entries: 2,
      problems: [{ seq: 2, kind: 'missing', count: 2 }],
    })
  })

  it('finds an entry that was made up', async () => {
    await record(1)
    await asIntruder(`insert into guard.audit (seq, hour, sealed, mac)
      select 2, hour, sealed, mac from guard.audit where seq = 1`)
    expect((await guard.audit.verify()).problems).toContainEqual({ seq: 2, kind: 'changed' })
  })

  it('finds that the end was cut off, also when the head was set back to a state of before', async () => {
    await record(1, 2)
    await guard.close()
    guard = another()
    await asIntruder('delete from guard.audit where seq = 2')
    expect((await guard.audit.verify()).problems).toEqual([{ seq: 2, kind: 'missing', count: 1 }])
    await asIntruder(`update guard.audit_head set seq = 1, mac = (select mac from guard.audit where seq = 1)`)
    expect((await guard.audit.verify()).problems).toEqual([{ seq: 2, kind: 'missing', count: 1 }])
    // And when something else was recorded in its place.
    await record(3)
    expect((await guard.audit.verify()).problems).toEqual([{ seq: 2, kind: 'rewritten' }])
  })

  it('finds it by what somebody wrote down, where there is no anchor', async () => {
    await record(1, 2)
    const { head } = await guard.audit.verify()
    expect(await guard.audit.verify(head)).toMatchObject({ intact: true })
    await asIntruder(`delete from guard.audit; update guard.audit_head set seq = 0,
      mac = decode(repeat('00', 32), 'hex')`)
    expect(await guard.audit.verify()).toMatchObject({ intact: true, entries: 0 })
    expect(await guard.audit.verify(head)).toMatchObject({
      intact: false,
      problems: [{ seq: 1, kind: 'missing', count: 2 }],
    })
    await expect(guard.audit.verify('2.abc')).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('does not move the anchor over a log that was cut, and says so in a metric', async () => {
    await record(1, 2)
    await guard.close()
    const anchored = await readFile(path, 'utf8')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await asIntruder(`delete from guard.audit where seq = 2;
      update guard.audit_head set seq = 1, mac = (select mac from guard.audit where seq = 1)`)
    guard = another()
    await record(3, 4)
    await guard.close()
    expect(await readFile(path, 'utf8')).toBe(anchored)
    expect(guard.stats()).toMatchObject({ guard_audit_intact: 0 })
    guard = another()
  })

  it('takes an anchor that is damaged for none', async () => {
    await record(1)
    await writeFile(path, 'nonsense')
    await guard.close()
    expect(guard.stats()).toMatchObject({ guard_audit_intact: 1 })
    expect(await readFile(path, 'utf8')).toMatch(/^1\./)
    guard = another()
  })
})
