import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Observed } from '../../src/guard/index.ts'
import { createGuardWorld, type GuardWorld, OFFICER, OPEN, SHUT, until } from './world.ts'

describe('watching', () => {
  let world: GuardWorld
  beforeEach(async () => {
    world = await createGuardWorld()
  })
  afterEach(() => world.close())

  const address = (n: number) => `redis://10.0.0.${n}:6379`

  it('contacts what is declared and nothing else', async () => {
    const guard = world.guard()
    await guard.start()
    await guard.stores.lookNow()
    expect(world.looks).toEqual([])
    const { storeId } = await guard.stores.add({ name: 'A', address: address(1) }, OFFICER)
    await until(() => world.looks.length > 2)
    expect(new Set(world.looks)).toEqual(new Set([address(1)]))
    await guard.stores.remove(storeId, OFFICER)
    await guard.stores.lookNow()
    const after = world.looks.length
    world.clock.advance(10)
    await guard.stores.lookNow()
    expect(world.looks.length).toBeLessThanOrEqual(after + 1)
    expect(await guard.stores.all()).toEqual([])
  })

  it('refuses an address that is none, one with a password, and one that is there already', async () => {
    const guard = world.guard()
    for (const wrong of ['redis://user:hunter2@10.0.0.1', '10.0.0.0/24', 'http://x/path', '']) {
      const adding = guard.stores.add({ name: 'A', address: wrong }, OFFICER)
      await expect(adding).rejects.toMatchObject({ code: 'invalid_request' })
      await adding.catch((error: Error) => expect(error.message).not.toContain('hunter2'))
    }
    await guard.stores.add({ name: 'A', address: address(1) }, OFFICER)
    const again = [address(1), ` ${address(1)} `, address(1).toUpperCase()]
    for (const same of again) {
      await expect(guard.stores.add({ name: 'B', address: same }, OFFICER)).rejects.toMatchObject({
        code: 'conflict',
      })
    }
    await expect(guard.stores.remove('nonsense', OFFICER)).rejects.toMatchObject({ code: 'not_found' })
    const { entries } = await guard.audit.page({ limit: 10 })
    expect(entries).toMatchObject([{ content: { actor: OFFICER, act: 'stores.added' } }])
  })

  it('one process of several looks; when it ends, another takes over and knows what was before', async () => {
    const looked: number[] = []
    const process = (n: number) =>
      world.guard({
        look: async ({ address: at }) => {
          looked.push(n)
          return world.answers.get(at) ?? [SHUT]
        },
      })
    const first = process(1)
    await first.stores.add({ name: 'A', address: address(1) }, OFFICER)
    await first.start()
    await until(() => looked.length > 2)
    const second = process(2)
    await second.start()
    const before = looked.length
    await until(() => looked.length > before + 5)
    expect(new Set(looked)).toEqual(new Set([1]))
    expect(second.stats()).toMatchObject({ guard_watching: 0 })
    await first.close()
    world.answers.set(address(1), [{ ...SHUT, verdict: 'other' }])
    await until(async () =>
      (await second.findings.list({ all: false })).some(({ kind }) => kind === 'changed'),
    )
    expect(looked.at(-1)).toBe(2)
  })

  it('takes over from a process that died with its turn', async () => {
    const dead = '0f8fad5b-d9cb-469f-a165-70867728950e'
    const hold = (until: string) =>
      world.database.pool.query(`update guard.watch set holder = '${dead}', until = ${until}`)
    await hold(`now() + interval '1 hour'`)
    const guard = world.guard()
    await guard.stores.add({ name: 'A', address: address(1) }, OFFICER)
    await guard.start()
    world.clock.advance(10)
    expect(world.looks).toEqual([])
    await hold(`now() - interval '1 second'`)
    world.clock.advance(10)
    await until(() => world.looks.length > 0)
  })

  it('a store that hangs or fails holds up no other', async () => {
    let release = () => {}
    const guard = world.guard({
      look: async ({ address: at }) => {
        world.looks.push(at)
        if (at === address(1)) await new Promise<void>((resolve) => (release = resolve))
        if (at === address(2)) throw new Error('a bug of a probe')
        return [OPEN]
      },
    })
    for (const n of [1, 2, 3]) await guard.stores.add({ name: `${n}`, address: address(n) }, OFFICER)
    await guard.start()
    await until(() => world.looks.filter((at) => at === address(3)).length > 2)
    expect(world.looks.filter((at) => at === address(1))).toHaveLength(1)
    await until(async () => (await guard.findings.list({ all: false })).length === 1)
    expect(guard.stats().guard_looks_failed_total).toBeGreaterThan(0)
    release()
  })

  it('looks at no more than eight at once, and begins no more than twenty in a second', async () => {
    let atOnce = 0
    let most = 0
    const began: number[] = []
    const guard = world.guard({
      intervals: { fedMs: 60_000, otherMs: 60_000 },
      look: async (): Promise<Observed[]> => {
        began.push(performance.now())
        most = Math.max(most, ++atOnce)
        await new Promise((resolve) => setTimeout(resolve, 5))
        atOnce--
        return [SHUT]
      },
    })
    for (let n = 0; n < 30; n++) await guard.stores.add({ name: `${n}`, address: address(n) }, OFFICER)
    await guard.start()
    await until(() => began.length === 30)
    expect(most).toBeLessThanOrEqual(8)
    // Five in each round, four rounds in a second: thirty take five pauses.
    expect((began.at(-1) as number) - (began[0] as number)).toBeGreaterThan(1_000)
  })

  it('what only one process can see, each looks at itself', async () => {
    const own = (n: number) => () => [
      { key: `own:door-${n}`, name: `door ${n}`, address: `127.0.0.1:${n}`, fed: false, here: true },
    ]
    const [first, second] = [world.guard({ own: own(1) }), world.guard({ own: own(2) })]
    await first.start()
    await second.start()
    await until(() => world.looks.includes('127.0.0.1:1') && world.looks.includes('127.0.0.1:2'))
  })

  it('what answers anybody by design is shown as open, and is no finding', async () => {
    const own = () => [
      {
        key: 'own:metrics-1',
        name: 'metrics',
        address: 'http://127.0.0.1:9',
        fed: false,
        here: true,
        mayBeOpen: true,
      },
    ]
    world.answers.set('http://127.0.0.1:9', [OPEN])
    const guard = world.guard({ own })
    expect(await guard.stores.lookNow()).toMatchObject([{ state: { verdict: 'open' } }])
    expect(await guard.findings.list({ all: true })).toEqual([])
  })

  it('a guard that has stopped looking is a finding, in whichever process is left, until it looks again', async () => {
    const guard = world.guard()
    await guard.stores.add({ name: 'A', address: address(1) }, OFFICER)
    await guard.start()
    const round = async () =>
      (await world.database.pool.query('select round_at from guard.watch')).rows[0].round_at !== null
    await until(round)
    await guard.close()
    const { createDeadMan } = await import('../../src/guard/dead-man.ts')
    const { createWatchTurn } = await import('../../src/guard/watch-turn.ts')
    const raised: string[] = []
    const over: string[] = []
    const deadMan = createDeadMan({
      turn: createWatchTurn(world),
      findings: {
        raise: async ({ kind, evidence }: { kind: string; evidence: string }) =>
          void raised.push(`${kind} ${evidence}`),
        shut: async (_key: string, kind: string) => void over.push(kind),
      } as never,
      intervals: { fedMs: 1_000, otherMs: 10_000 },
      clock: world.clock,
    })
    await deadMan.check()
    expect(raised).toEqual([])
    await world.database.pool.query(`update guard.watch set round_at = now() - interval '10 minutes'`)
    // It has only just started: nobody has had the time.
    await deadMan.check()
    expect(raised).toEqual([])
    world.clock.advance(91)
    await deadMan.check()
    expect(raised).toEqual([expect.stringMatching(/^stopped no whole round for 9\d s/)])
    expect(deadMan.stats().guard_seconds_since_round).toBeGreaterThanOrEqual(590)
    await world.database.pool.query('update guard.watch set round_at = now()')
    await deadMan.check()
    expect(over.at(-1)).toBe('stopped')
  })
})
