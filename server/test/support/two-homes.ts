import type { IConnectPacket } from 'mqtt-packet'
import { vi } from 'vitest'
import { type Client, isClientError, type LiveUpdate } from '../../src/client/index.ts'
import { isAppError } from '../../src/core/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import { newReset } from '../../src/simulator/reset.ts'
import { RawClient } from '../gateway/raw-client.ts'
import { newCustomer, provisionDevice, type Rooms, type RoomsOptions } from './start-rooms.ts'

/** Every way in which a device comes from one household to another. Of a lock or a camera only the first two are. */
export const ways = ['transferred', 'released, reset and claimed', 'reset and claimed'] as const
export type Way = (typeof ways)[number]

/** Many devices and many refusals, from the tests' one address. */
export const roomyLimits: NonNullable<RoomsOptions['limits']> = {
  refusedClaimsPer10MinutesPerAccount: 10_000,
  refusedClaimsPer10MinutesPerAddress: 10_000,
  refusedCodesPer10MinutesPerAccount: 10_000,
  refusedCodesPer10MinutesPerAddress: 10_000,
  liveStreamsPerAccount: 1_000,
}

export interface HomeOf {
  at: Rooms
  client: Client
  accountId: string
  householdId: string
  /** A device that stays: what it says is seen after everything that was said before. */
  bell: Thing
}

/** A device, its session, and what it says. */
export interface Thing extends ProvisionedDevice {
  socket: RawClient
  topic: (name: string) => string
}

export interface Command {
  commandId: string
  state: string
  status?: string
}
export interface Timeline {
  entries: { seq: number; kind: string; payload: Record<string, unknown> }[]
  next?: number
}
export interface PastDevice {
  tenureId: string
  deviceId: string
}

/** The code of the refusal; `done` when there was none. */
export async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (isClientError(error) || isAppError(error)) return error.code
    throw error
  }
}

export async function session(
  { mqttUrl }: Pick<Rooms, 'mqttUrl'>,
  { deviceId, password }: ProvisionedDevice,
  overrides: Partial<IConnectPacket> = {},
): Promise<RawClient> {
  const socket = await RawClient.open({ port: Number(new URL(mqttUrl).port), version: 5 })
  socket.connectAs({ deviceId, password: password?.reveal() ?? '' }, overrides)
  return socket
}

/** The device's session, accepted. */
export async function connected(at: Rooms, device: ProvisionedDevice): Promise<RawClient> {
  const socket = await session(at, device)
  const { reasonCode } = await socket.next('connack')
  if (reasonCode !== 0) throw new Error(`the device was refused: ${reasonCode}`)
  return socket
}

/** The PUBACK's reason code. */
export async function say(thing: Thing, name: string, payload: object, more: object = {}): Promise<number> {
  thing.socket.publish(thing.topic(name), payload, more)
  return (await thing.socket.next('puback')).reasonCode ?? 0
}

export async function obeyFrom(thing: Thing): Promise<void> {
  thing.socket.subscribe(thing.topic('commands'))
  await thing.socket.next('suback')
}

interface Received {
  id: string
  command: string
  arguments: Record<string, string>
  messageId: number | undefined
}
/** By these the server has a device replace its key pair; they are nobody's. */
const isOwn = ({ command }: Received) => command.startsWith('OperationalCredentials.')

/** The command that comes next; whether it is acknowledged is the test's to decide. */
export async function nextCommand(thing: Thing, own = false): Promise<Received> {
  for (;;) {
    const { payload, messageId } = await thing.socket.next('publish')
    const command: Received = { ...JSON.parse(payload.toString()), messageId }
    if (isOwn(command) === own) return command
  }
}

/** Those of households that have come and were not taken by `nextCommand`. */
export function otherCommands({ socket }: Thing): string[] {
  return socket.received.flatMap((packet) => {
    if (packet.cmd !== 'publish') return []
    const command: Received = JSON.parse(packet.payload.toString())
    return isOwn(command) ? [] : [command.command]
  })
}

/** What somebody is told of a household as it happens, from now on. */
export async function watch({ client, householdId }: Pick<HomeOf, 'client' | 'householdId'>) {
  const updates: LiveUpdate[] = []
  const stop = new AbortController()
  const ready = vi.fn()
  const ended = outcome(
    client.live(householdId, (update) => updates.push(update), stop.signal, { onReady: ready }),
  )
  await vi.waitFor(() => {
    if (ready.mock.calls.length === 0) throw new Error('not ready yet')
  })
  return {
    updates,
    ended,
    of: ({ deviceId }: ProvisionedDevice) => updates.filter((update) => update.deviceId === deviceId),
    close: () => stop.abort(),
  }
}
export type Watch = Awaited<ReturnType<typeof watch>>

export type TwoHomes = Awaited<ReturnType<typeof createTwoHomes>>

/** Ada, who holds a device, and Grace, who holds it next. They may be at two processes of one installation. */
export async function createTwoHomes(former: Rooms, next: Rooms) {
  let level = 1

  async function settle(at: Rooms, name: string): Promise<HomeOf> {
    const client = await newCustomer(at)
    const { accountId } = await client.request<{ accountId: string }>('GET', '/v1/me')
    const { householdId } = await client.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name },
    })
    const home = { at, client, accountId, householdId }
    return { ...home, bell: await thing(home, 'hearth-bulb') }
  }

  async function claim(home: Omit<HomeOf, 'bell'>, device: ProvisionedDevice, nickname?: string) {
    await home.client.request('POST', `/v1/households/${home.householdId}/claims`, {
      body: { code: device.claimCode.reveal(), ...(nickname && { nickname }) },
    })
  }

  /** A device that the home holds, with a session. */
  async function thing(home: Omit<HomeOf, 'bell'>, model: string, nickname?: string): Promise<Thing> {
    const device = await provisionDevice(home.at, model)
    const socket = await connected(home.at, device)
    const held: Thing = { ...device, socket, topic: (name) => `hearth/1/${device.deviceId}/${name}` }
    await claim(home, device, nickname)
    return held
  }

  const ada = await settle(former, 'Old home')
  const grace = await settle(next, 'New home')

  async function offer({ deviceId }: ProvisionedDevice, history: 'keep' | 'destroy' = 'keep') {
    const path = `/v1/devices/${deviceId}/transfer-offers`
    return (await ada.client.request<{ code: string }>('POST', path, { body: { history } })).code
  }
  const accept = (code: string) =>
    grace.client.request('POST', `/v1/households/${grace.householdId}/transfers`, { body: { code } })

  /** The device says that it was reset, over the session that it has, or else over a new one. */
  async function pressReset(device: Thing): Promise<void> {
    if (device.socket.ended) device.socket = await connected(next, device)
    const { code, payload } = newReset()
    const answer = await say(device, 'events', payload)
    if (answer !== 0) throw new Error(`the reset was refused: ${answer}`)
    device.claimCode = code
  }

  return {
    ada,
    grace,
    offer,
    accept,
    pressReset,
    claim: (home: HomeOf, device: Thing) => claim(home, device),
    thing: (model = 'hearth-bulb', nickname?: string) => thing(ada, model, nickname),
    connected: (device: Thing) => connected(next, device),

    /** Ends Ada's tenure: from here on the device is nobody's, or Grace's. */
    async end(device: Thing, way: Way): Promise<void> {
      if (way === 'transferred') await accept(await offer(device))
      else if (way === 'reset and claimed') await pressReset(device)
      else
        await ada.client.request('POST', `/v1/devices/${device.deviceId}/release`, {
          body: { history: 'keep' },
        })
    },

    /** The device, which has no session in Ada's tenure any more, comes into Grace's. */
    async begin(device: Thing, way: Way): Promise<void> {
      await device.socket.closed
      device.socket = await connected(next, device)
      if (way === 'released, reset and claimed') await pressReset(device)
      if (way !== 'transferred') await claim(grace, device)
    },

    async move(device: Thing, way: Way): Promise<void> {
      await this.end(device, way)
      await this.begin(device, way)
    },

    /** When this returns, the watch has been told of everything that was acknowledged before. */
    async rung({ bell }: HomeOf, seen: Watch): Promise<void> {
      level = (level % 254) + 1
      await say(bell, 'attributes', { 'LevelControl.CurrentLevel': level })
      await vi.waitFor(() => {
        const rang = seen.of(bell).some(({ payload }) => payload?.['1/LevelControl.CurrentLevel'] === level)
        if (!rang) throw new Error('the bell was not heard yet')
      })
    },

    async timeline({ client }: HomeOf, { deviceId }: ProvisionedDevice, query = ''): Promise<Timeline> {
      return client.request<Timeline>('GET', `/v1/devices/${deviceId}/timeline${query}`)
    },

    /** Ada's own past with the device. */
    async past(
      { client, householdId }: HomeOf,
      { deviceId }: ProvisionedDevice,
    ): Promise<PastDevice | undefined> {
      const path = `/v1/households/${householdId}/past-devices`
      const { devices } = await client.request<{ devices: PastDevice[] }>('GET', path)
      return devices.find((device) => device.deviceId === deviceId)
    },

    close() {
      for (const { bell } of [ada, grace]) bell.socket.socket.destroy()
    },
  }
}
