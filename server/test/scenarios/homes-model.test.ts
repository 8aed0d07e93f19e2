import fc from 'fast-check'
import { afterAll, beforeAll, it } from 'vitest'
import { probe } from '../support/homes-model/probe.ts'
import { steps } from '../support/homes-model/steps.ts'
import { begin, type People, settle } from '../support/homes-model/world.ts'

/** More of them find more, in minutes instead of seconds. A seed that was printed repeats what it found. */
const RUNS = Number(process.env.HEARTHLOCK_MODEL_RUNS ?? 6)
const SEED = process.env.HEARTHLOCK_MODEL_SEED
const STEPS = 80
const LIMIT_MS = 180_000

let people: People
beforeAll(async () => {
  people = await settle()
})
afterAll(() => people.rooms.close())

it('whatever happens in two homes, everybody gets at what is theirs, and at nothing else', async () => {
  const drawn = fc.commands(steps, { maxCommands: STEPS, size: 'max' })
  const property = fc.asyncProperty(drawn, async (commands) => {
    const { model, real } = await begin(people)
    try {
      await fc.asyncModelRun(() => ({ model, real }), commands)
      // What came late is found by asking once more.
      await probe(model, real)
    } finally {
      for (const { seen } of real.watching) seen.close()
      for (const { socket } of real.things) socket.socket.destroy()
    }
  })
  await fc.assert(property, {
    numRuns: RUNS,
    ...(SEED && { seed: Number(SEED) }),
    unbiased: true,
    interruptAfterTimeLimit: LIMIT_MS,
  })
}, 600_000)
