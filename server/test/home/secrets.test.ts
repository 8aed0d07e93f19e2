import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { newId } from '../../src/core/index.ts'
import type { CommandView, LiveUpdate } from '../../src/home/index.ts'
import type { GrantedAct } from '../../src/registry/index.ts'
import { createWorld, type Device, type Person, type World } from './support.ts'

const PIN = Buffer.from('739154').toString('base64')
const PIN_INSIDE = /NzM5MTU0|739154/

let world: World
let ada: Person
let cleo: Person
let lock: Device
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
beforeEach(async () => {
  ada = await world.person()
  lock = await world.device(ada)
  cleo = await guest(['view'])
  world.connect(lock)
})

async function guest(acts: GrantedAct[]): Promise<Person> {
  const { code } = await world.registry.invite({
    ...ada,
    as: {
      role: 'guest',
      guest: {
        schedule: { untilMs: world.clock.ms + 3_600_000 },
        devices: [{ deviceId: lock.deviceId, acts }],
      },
    },
    hours: 1,
  })
  const person = { accountId: newId<Person['accountId']>(), householdId: ada.householdId }
  await world.registry.acceptInvitation(person.accountId, code)
  return person
}

const ask = (command: string, args: object): Promise<CommandView> =>
  world.home.requestCommand({
    accountId: ada.accountId,
    deviceId: lock.deviceId,
    command: `DoorLock.${command}`,
    arguments: args,
  })
const timelineOf = async (person: Person) =>
  (await world.home.timeline(person.accountId, lock.deviceId, { limit: 50 })).entries.map((e) => e.payload)
const answer = (commandId: string, response: object) =>
  world.append(lock, 'results', { id: commandId, status: 'SUCCESS', response })
const credential = {
  CredentialExists: true,
  UserIndex: 3,
  CreatorFabricIndex: null,
  LastModifiedFabricIndex: null,
  NextCredentialIndex: 4,
  CredentialData: PIN,
}

describe('a PIN code that was sent with a command', () => {
  it('reaches the device, and stands in nobody’s timeline, which says what it withholds', async () => {
    const { commandId } = await ask('UnlockDoor', { PinCode: PIN })
    await vi.waitFor(() => expect(world.sent.at(-1)).toMatchObject({ commandId }))
    expect(world.sent.at(-1)?.message.arguments).toEqual({ PinCode: PIN })
    for (const person of [ada, cleo]) {
      const [entry] = await timelineOf(person)
      expect(entry).toEqual({
        event: 'requested',
        commandId,
        command: 'DoorLock.UnlockDoor',
        arguments: {},
        withheld: ['PinCode'],
      })
    }
  })

  it('is withheld beside what is not secret', async () => {
    await ask('SetCredential', {
      OperationType: 'Add',
      Credential: { CredentialType: 'Pin', CredentialIndex: 4 },
      CredentialData: PIN,
      UserIndex: 3,
      UserStatus: null,
      UserType: null,
    })
    const [entry] = await timelineOf(cleo)
    expect(entry).toMatchObject({
      arguments: { Credential: { CredentialType: 'Pin', CredentialIndex: 4 }, UserIndex: 3 },
      withheld: ['CredentialData'],
    })
    expect(JSON.stringify(entry)).not.toMatch(PIN_INSIDE)
  })

  it('is withheld from the former household’s history, too', async () => {
    await ask('UnlockDoor', { PinCode: PIN })
    await world.registry.release({
      accountId: ada.accountId,
      deviceId: lock.deviceId,
      history: 'kept',
    })
    const past = await world.home.pastTimeline(ada.accountId, lock.tenure.tenureId, { limit: 50 })
    expect(past.entries.some(({ payload }) => 'withheld' in payload)).toBe(true)
    expect(JSON.stringify(past)).not.toMatch(PIN_INSIDE)
  })
})

describe('a credential that the device answered with', () => {
  it('is for who asked, and in no timeline, live update or answer to others', async () => {
    const live: LiveUpdate[] = []
    const stops = await Promise.all(
      [ada, cleo].map((person) =>
        world.home.watch(person.accountId, person.householdId, (update) => {
          live.push(update)
        }),
      ),
    )
    const { commandId } = await ask('GetCredentialStatus', {
      Credential: { CredentialType: 'Pin', CredentialIndex: 3 },
    })
    await answer(commandId, credential)
    const own = await world.home.waitForCommand(ada.accountId, commandId, 5_000)
    expect(own.response).toEqual(credential)
    const { CredentialData: _, ...harmless } = credential

    const others = await world.home.command(cleo.accountId, commandId)
    expect(others).toMatchObject({ response: harmless, withheld: ['CredentialData'] })
    expect(JSON.stringify(others)).not.toMatch(PIN_INSIDE)

    await vi.waitFor(() => expect(live.filter((u) => 'command' in u && u.command.response)).toHaveLength(2))
    expect(JSON.stringify(live)).not.toMatch(PIN_INSIDE)
    for (const person of [ada, cleo]) {
      const entries = await timelineOf(person)
      expect(entries[0]).toMatchObject({ event: 'result', response: harmless, withheld: ['CredentialData'] })
      expect(JSON.stringify(entries)).not.toMatch(PIN_INSIDE)
    }
    for (const stop of stops) stop()
  })

  it('is withheld where Matter defines no answer: nothing of that is known to be harmless', async () => {
    const { commandId } = await ask('UnlockDoor', {})
    await answer(commandId, { Echo: PIN, '739154': 1 })
    await world.applied()
    const [entry] = await timelineOf(cleo)
    expect(entry).toMatchObject({ event: 'result', response: {}, withheld: ['(unknown)'] })
  })
})
