import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CopyId } from '../../src/core/index.ts'
import { createGuardWorld, type GuardWorld, OFFICER, OPEN, SHUT, until } from './world.ts'

describe('when a store opens', () => {
  let world: GuardWorld
  beforeEach(async () => {
    world = await createGuardWorld()
  })
  afterEach(() => world.close())

  const STORE = 'redis://10.0.0.7:6379'
  const feed = { copyId: 'c1' as CopyId, name: 'metrics', address: STORE, state: 'filling' }
  const cuts = async () => (await world.database.pool.query('select copy_id, reason from public.cut')).rows

  it('its feed is cut, the finding and the audit entry are written, and people are called', async () => {
    world.feeds.all = [feed]
    const guard = world.guard()
    await guard.start()
    await until(() => world.looks.length > 2)
    expect(await guard.findings.list({ all: true })).toEqual([])
    world.answers.set(STORE, [OPEN])
    await until(() => world.letters.length > 0)
    const [finding] = await guard.findings.list({ all: false })
    expect(finding).toMatchObject({
      findingId: 1,
      kind: 'open',
      state: 'open',
      storeKey: 'feed:c1',
      address: STORE,
      evidence: 'Redis: 3 keys',
      cut: ['metrics'],
    })
    expect(await cuts()).toEqual([{ copy_id: 'c1', reason: 'finding 1' }])
    expect(world.letters[0]).toEqual({ to: OFFICER, findingId: 1 })
    const { entries } = await guard.audit.page({ limit: 10 })
    expect(entries.map(({ content }) => content)).toMatchObject([
      { actor: 'system', act: 'findings.opened', subject: { kind: 'finding', id: '1' } },
    ])
  })

  it('cut, finding and audit entry are one commit: none without the others', async () => {
    world.feeds.all = [feed]
    world.answers.set(STORE, [OPEN])
    const failing = async () => {
      throw new Error('the room that feeds is broken')
    }
    const guard = world.guard({ feeds: { ...world.feeds, cut: failing } })
    await guard.stores.lookNow().catch(() => {})
    expect(await guard.findings.list({ all: true })).toEqual([])
    expect((await guard.audit.page({ limit: 10 })).entries).toEqual([])
    const whole = world.guard()
    await whole.stores.lookNow()
    expect(await whole.findings.list({ all: true })).toHaveLength(1)
    expect(await cuts()).toHaveLength(1)
    expect((await whole.audit.page({ limit: 10 })).entries).toHaveLength(1)
  })

  it('a feed goes into the store by another name of its address, and is cut too', async () => {
    world.feeds.all = [{ ...feed, address: 'rediss://10.0.0.7:6379' }]
    const guard = world.guard()
    await guard.stores.add({ name: 'Redis', address: STORE }, OFFICER)
    world.answers.set(STORE, [OPEN])
    await guard.stores.lookNow()
    expect(await guard.findings.list({ all: true })).toMatchObject([{ name: 'Redis', cut: ['metrics'] }])
    expect(await cuts()).toHaveLength(1)
  })

  it('is one finding, however often and by however many it is seen', async () => {
    world.feeds.all = [feed]
    world.answers.set(STORE, [OPEN])
    const guards = [world.guard(), world.guard(), world.guard()]
    await Promise.all(guards.map((guard) => guard.stores.lookNow()))
    await guards[0]?.stores.lookNow()
    expect(await guards[0]?.findings.list({ all: true })).toHaveLength(1)
    expect(await cuts()).toHaveLength(1)
  })

  it('a feed that is resumed while the store is open is cut again', async () => {
    world.feeds.all = [feed]
    world.answers.set(STORE, [OPEN])
    const guard = world.guard()
    await guard.stores.lookNow()
    await world.database.pool.query('delete from public.cut')
    await guard.stores.lookNow()
    expect(await cuts()).toHaveLength(1)
    const { entries } = await guard.audit.page({ limit: 1 })
    expect(entries[0]?.content?.act).toBe('findings.cut_again')
  })

  it('its end is proved three times; then it waits to be closed, and its feed stays cut', async () => {
    world.feeds.all = [feed]
    world.answers.set(STORE, [OPEN])
    const guard = world.guard()
    await guard.stores.lookNow()
    const state = async () => (await guard.findings.get(1)).state
    await expect(guard.findings.close(1, OFFICER, {})).rejects.toMatchObject({ code: 'conflict' })
    world.answers.set(STORE, [SHUT])
    await guard.stores.lookNow()
    await guard.stores.lookNow()
    expect(await state()).toBe('open')
    await guard.stores.lookNow()
    expect(await state()).toBe('shut')
    await guard.findings.close(1, OFFICER, {})
    expect(await guard.findings.list({ all: false })).toEqual([])
    expect(await cuts()).toHaveLength(1)
  })

  it('one that opens again before it was closed is open again, and somebody is called anew', async () => {
    world.feeds.all = [feed]
    world.answers.set(STORE, [OPEN])
    const guard = world.guard()
    await guard.stores.lookNow()
    await guard.findings.acknowledge(1, OFFICER)
    world.answers.set(STORE, [SHUT])
    for (let n = 0; n < 3; n++) await guard.stores.lookNow()
    world.answers.set(STORE, [OPEN])
    await guard.stores.lookNow()
    const again = await guard.findings.get(1)
    expect(again.state).toBe('open')
    expect(again.acknowledged).toBeUndefined()
    await guard.start()
    await until(() => world.letters.length > 0)
  })

  it('one that was closed while it is still so, with a note, is found anew', async () => {
    world.answers.set(STORE, [OPEN])
    const guard = world.guard()
    await guard.stores.add({ name: 'Redis', address: STORE }, OFFICER)
    await guard.stores.lookNow()
    await guard.findings.close(1, OFFICER, { note: 'a test server' })
    await guard.stores.lookNow()
    expect((await guard.findings.list({ all: true })).map(({ state }) => state)).toEqual(['open', 'closed'])
    await expect(guard.findings.close(1, OFFICER, { note: 'x' })).rejects.toMatchObject({ code: 'conflict' })
    await expect(guard.findings.acknowledge(1, OFFICER)).rejects.toMatchObject({ code: 'conflict' })
    await expect(guard.findings.get(9)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('nobody is called again for what somebody has acknowledged; until then, in lengthening intervals', async () => {
    world.answers.set(STORE, [OPEN])
    const guard = world.guard()
    await guard.stores.add({ name: 'Redis', address: STORE }, OFFICER)
    await guard.start()
    await until(() => world.letters.length === 1)
    world.clock.advance(4 * 60)
    await until(() => world.looks.length > 5)
    expect(world.letters).toHaveLength(1)
    world.clock.advance(61)
    await until(() => world.letters.length === 2)
    await guard.findings.acknowledge(1, OFFICER)
    await expect(guard.findings.acknowledge(1, OFFICER)).rejects.toMatchObject({ code: 'conflict' })
    world.clock.advance(24 * 3600)
    const seen = world.looks.length
    await until(() => world.looks.length > seen + 10)
    expect(world.letters).toHaveLength(2)
  })

  it('what was seen is sealed, and a finding that was changed in the database still calls people', async () => {
    world.answers.set(STORE, [OPEN])
    const guard = world.guard()
    await guard.stores.add({ name: 'Marzipan', address: STORE, note: 'Ask Zanzibar' }, OFFICER)
    await guard.stores.lookNow()
    for (const table of ['finding', 'store', 'verdict', 'webhook', 'audit']) {
      const { rows } = await world.database.pool.query(`select t::text as row from guard.${table} t`)
      for (const { row } of rows) {
        const bytes = `${row} ${Buffer.from(row.replaceAll(/[^0-9a-f]/g, ''), 'hex').toString('latin1')}`
        for (const word of ['Marzipan', 'Zanzibar', '10.0.0.7', 'Redis: 3 keys'])
          expect(bytes).not.toContain(word)
      }
    }
    await world.database.pool.query(`update guard.finding set sealed = '\\x00'`)
    expect((await guard.findings.get(1)).evidence).toMatch(/does not open/)
    await guard.start()
    await until(() => world.letters.length > 0)
  })
})
