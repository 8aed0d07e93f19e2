import { describe, expect, it } from 'vitest'
import { createSchedule } from '../../src/guard/schedule.ts'
import type { Watched } from '../../src/guard/watched.ts'

const store = (key: string, fed = false): Watched => ({ key, name: key, address: key, fed, here: false })
const keys = (stores: Watched[]) => stores.map(({ key }) => key)

describe('when which store is looked at', () => {
  const intervals = { fedMs: 5_000, otherMs: 120_000 }

  it('a new one at once, a fed one every few seconds, another every few minutes', () => {
    const schedule = createSchedule({ intervals, random: () => 0.5 })
    const all = [store('fed', true), store('other')]
    schedule.know(all)
    const took = schedule.take(0, 10)
    expect(keys(took)).toEqual(['fed', 'other'])
    for (const each of took) schedule.done(each, 100)
    expect(keys(schedule.take(5_099, 10))).toEqual([])
    const [fed] = schedule.take(5_100, 10)
    expect(fed?.key).toBe('fed')
    schedule.done(fed as Watched, 5_200)
    expect(keys(schedule.take(120_100, 10))).toEqual(['fed', 'other'])
  })

  it('never twice at once, however long a look takes', () => {
    const schedule = createSchedule({ intervals })
    schedule.know([store('a', true)])
    expect(keys(schedule.take(0, 10))).toEqual(['a'])
    schedule.know([store('a', true)])
    expect(keys(schedule.take(1_000_000, 10))).toEqual([])
  })

  it('at most so many, those that waited longest first', () => {
    const schedule = createSchedule({ intervals, random: () => 0.5 })
    schedule.know([store('a', true), store('b')])
    for (const each of schedule.take(0, 2)) schedule.done(each, 0)
    schedule.know([store('a', true), store('b'), store('new')])
    expect(keys(schedule.take(120_000, 2))).toEqual(['new', 'a'])
  })

  it('is jittered within a fifth', () => {
    const schedule = createSchedule({ intervals })
    const times = Array.from({ length: 50 }, (_, n) => {
      const each = store(`s${n}`, true)
      schedule.know([each])
      schedule.take(0, 1)
      schedule.done(each, 0)
      let at = 0
      while (schedule.take(at, 1).length === 0) at += 10
      return at
    })
    expect(Math.min(...times)).toBeGreaterThanOrEqual(4_000)
    expect(Math.max(...times)).toBeLessThanOrEqual(6_010)
    expect(new Set(times).size).toBeGreaterThan(10)
  })

  it('a round has ended when each has been looked at; one that went away does not hold it up', () => {
    const schedule = createSchedule({ intervals })
    schedule.know([store('a'), store('b')])
    const [a, b] = schedule.take(0, 2) as [Watched, Watched]
    schedule.done(a, 1)
    expect(schedule.roundEnded()).toBe(false)
    schedule.know([store('a')])
    expect(schedule.roundEnded()).toBe(true)
    expect(schedule.roundEnded()).toBe(false)
    schedule.done(b, 2)
    expect(keys(schedule.take(1_000_000, 9))).toEqual(['a'])
  })

  it('without a store there is no round to end', () => {
    expect(createSchedule({ intervals }).roundEnded()).toBe(false)
  })
})
