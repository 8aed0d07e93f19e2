import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { CommandId } from '../../src/core/index.ts'
import type { CommandState } from '../../src/home/index.ts'
import { createWorld, type Device, type Person, type World } from './support.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

interface Expected {
  id: CommandId
  state: CommandState
  dueMs: number
  sentThisSession: boolean
}

interface Model {
  connected: boolean
  commands: Expected[]
}

interface Real {
  ada: Person
  lock: Device
}

type Step = fc.AsyncCommand<Model, Real>
const isOpen = (c: Expected) => c.state === 'queued' || c.state === 'delivered'
const pick = (model: Model, at: number) => model.commands[at % model.commands.length] as Expected

function expireDue(model: Model) {
  for (const command of model.commands) {
    if (isOpen(command) && command.dueMs <= world.clock.ms) command.state = 'expired'
  }
}

/** What is sent must be exactly what the model says, and every command must read as the model says. */
async function check(model: Model, { ada, lock }: Real, mustBeSent: CommandId[]) {
  // A request that the model of the device refuses goes nowhere; one that goes through the lane comes after the rest.
  const own = () => world.sent.filter(({ deviceId }) => deviceId === lock.deviceId)
  await expect.poll(() => own().map(({ commandId }) => commandId)).toEqual(mustBeSent)
  for (const command of model.commands) {
    await expect
      .poll(async () => (await world.home.command(ada.accountId, command.id)).state)
      .toBe(command.state)
  }
  expect(own().map(({ commandId }) => commandId)).toEqual(mustBeSent)
  world.sent.length = 0
}

class Request implements Step {
  check = (model: Readonly<Model>) => model.commands.filter(isOpen).length < 20
  toString = () => 'request'
  async run(model: Model, real: Real) {
    expireDue(model)
    const { commandId } = await world.lock(real.ada, real.lock)
    model.commands.push({
      id: commandId,
      state: 'queued',
      dueMs: world.clock.ms + 60_000,
      sentThisSession: model.connected,
    })
    await check(model, real, model.connected ? [commandId] : [])
  }
}

class Connect implements Step {
  check = () => true
  toString = () => 'connect'
  async run(model: Model, real: Real) {
    expireDue(model)
    model.connected = true
    world.connect(real.lock)
    const waiting = model.commands.filter((command) => command.state === 'queued')
    for (const command of model.commands) command.sentThisSession = waiting.includes(command)
    await check(
      model,
      real,
      waiting.map(({ id }) => id),
    )
  }
}

class Disconnect implements Step {
  check = (model: Readonly<Model>) => model.connected
  toString = () => 'disconnect'
  async run(model: Model, real: Real) {
    model.connected = false
    world.disconnect(real.lock)
    for (const command of model.commands) command.sentThisSession = false
    expireDue(model)
    await check(model, real, [])
  }
}

class Acknowledge implements Step {
  readonly at: number
  constructor(at: number) {
    this.at = at
  }
  check = (model: Readonly<Model>) => model.commands.some((command) => command.sentThisSession)
  toString = () => `acknowledge ${this.at}`
  async run(model: Model, real: Real) {
    expireDue(model)
    const inFlight = model.commands.filter((command) => command.sentThisSession)
    const command = inFlight[this.at % inFlight.length] as Expected
    if (command.state === 'queued') command.state = 'delivered'
    world.acknowledge(real.lock, command.id)
    await check(model, real, [])
  }
}

class Result implements Step {
  readonly at: number
  readonly status: string
  constructor(at: number, status: string) {
    this.at = at
    this.status = status
  }
  check = (model: Readonly<Model>) => model.commands.length > 0
  toString = () => `result ${this.at} ${this.status}`
  async run(model: Model, real: Real) {
    expireDue(model)
    const command = pick(model, this.at)
    if (isOpen(command) && this.status !== 'nonsense') {
      command.state = this.status === 'SUCCESS' ? 'succeeded' : 'failed'
    }
    await world.append(real.lock, 'results', { id: command.id, status: this.status })
    await world.applied()
    await check(model, real, [])
  }
}

class Wait implements Step {
  readonly ms: number
  constructor(ms: number) {
    this.ms = ms
  }
  check = () => true
  toString = () => `wait ${this.ms}`
  async run(model: Model, real: Real) {
    world.clock.ms += this.ms
    await world.home.tick()
    expireDue(model)
    await check(model, real, [])
  }
}

it('a command goes only the ways that are allowed, whatever happens in whatever order', async () => {
  const steps = [
    fc.constant(new Request()),
    fc.constant(new Connect()),
    fc.constant(new Disconnect()),
    fc.nat(30).map((at) => new Acknowledge(at)),
    fc.tuple(fc.nat(30), fc.constantFrom('SUCCESS', 'BUSY', 'nonsense')).map(([at, s]) => new Result(at, s)),
    fc.constantFrom(1, 20_000, 59_999, 60_000).map((ms) => new Wait(ms)),
  ]
  await fc.assert(
    fc.asyncProperty(fc.commands(steps, { maxCommands: 15 }), async (commands) => {
      const ada = await world.person()
      const lock = await world.device(ada)
      world.sent.length = 0
      const setup = () => ({ model: { connected: false, commands: [] as Expected[] }, real: { ada, lock } })
      await fc.asyncModelRun(setup, commands)
      world.disconnect(lock)
    }),
    { numRuns: 25, endOnFailure: true },
  )
}, 120_000)
