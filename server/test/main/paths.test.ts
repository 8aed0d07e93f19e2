import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generate, type Packet } from 'mqtt-packet'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Client, isClientError } from '../../src/client/index.ts'
import { AppError, type DeviceId } from '../../src/core/index.ts'
import { topicsOf } from '../../src/gateway/topics.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import { RawClient } from '../gateway/raw-client.ts'
import {
  newCustomer,
  newOperator,
  provisionDevice,
  type Rooms,
  readModel,
  startRooms,
} from '../support/start-rooms.ts'

const SOURCES = fileURLToPath(new URL('../../src', import.meta.url))
const DOCUMENT = new URL('../../../docs/architecture.md', import.meta.url)
const ID = '0f8fad5b-d9cb-469f-a165-70867728950e'
const MODEL = await readModel('hearth-lock')

/** What stands in backquotes in the first column of the table below this heading. */
async function listed(heading: string): Promise<string[]> {
  const document = await readFile(DOCUMENT, 'utf8')
  const section = document.split(`\n### ${heading}\n`)[1]?.split('\n#')[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .flatMap((line) =>
      [...(line.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map((found) => found[1] ?? ''),
    )
    .sort()
}

type Schema = {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  anyOf?: Schema[]
  enum?: unknown[]
  examples?: unknown[]
  items?: Schema
  minItems?: number
  minLength?: number
  minimum?: number
}

interface Operation {
  requestBody?: { content: Record<string, { schema: Schema }> }
  parameters?: { in: string; name: string; required?: boolean; schema: Schema }[]
}

/** The least that a schema lets through. */
function sampleOf(schema: Schema): unknown {
  if (schema.enum) return schema.enum[0]
  if (schema.examples) return schema.examples[0]
  if (schema.anyOf) return sampleOf(schema.anyOf[0] as Schema)
  switch (schema.type) {
    case 'object': {
      const { required = [], properties = {} } = schema
      return Object.fromEntries(required.map((name) => [name, sampleOf(properties[name] as Schema)]))
    }
    case 'array':
      return Array.from({ length: schema.minItems ?? 0 }, () => sampleOf(schema.items as Schema))
    case 'integer':
    case 'number':
      return schema.minimum ?? 0
    case 'boolean':
      return false
    default:
      return 'x'.repeat(Math.max(1, schema.minLength ?? 1))
  }
}

/** Whose schemas do not say all that their bodies must be. */
const bodies: Record<string, unknown> = {
  'POST /v1/devices/:deviceId/commands': { command: 'OnOff.On' },
  'POST /v1/models': MODEL,
  'POST /v1/devices': { model: MODEL.name, count: 1 },
}

/** Every way to a device, a household, or what they leave, is in docs/architecture.md: derived from what there is. */
describe('the list of paths in docs/architecture.md', () => {
  let rooms: Rooms
  let clients: Client[]
  let device: ProvisionedDevice
  const topics = new Set<string>()
  const came = new Set<string>()
  const malformed: string[] = []
  let walking = false

  /** While we walk, whoever gets to a room is noted, and nothing happens there. */
  function noted<Room extends object>(name: string, room: Room): Room {
    return new Proxy(room, {
      get(target, property, receiver) {
        const value = Reflect.get(target, property, receiver)
        if (!walking || property === 'authenticate' || property === 'isSessionLive') return value
        if (typeof value === 'object' && value !== null) return noted(name, value)
        if (typeof value !== 'function' || property === 'dpopNonce') return value
        return () => {
          came.add(name)
          throw new AppError('conflict', { message: 'came in' })
        }
      },
    })
  }

  beforeAll(async () => {
    rooms = await startRooms({
      wrapBus: (bus) => ({
        ...bus,
        get alone() {
          return bus.alone
        },
        subscribe(topic, listener) {
          topics.add(topic)
          return bus.subscribe(topic, listener)
        },
      }),
      replace: ({ insight, home, registry, identity, vault, mail, privacy, guard, reset }) => ({
        home: noted('home', home),
        registry: noted('registry', registry),
        privacy: noted('privacy', privacy),
        identity: noted('identity', identity),
        vault: noted('vault', vault),
        mail: noted('mail', mail),
        guard: noted('guard', guard),
        reset: noted('reset', reset),
        insight: noted('insight', insight),
      }),
    })
    clients = [await newCustomer(rooms), await newOperator(rooms)]
    device = await provisionDevice(rooms, 'hearth-bulb')
  })
  afterAll(() => rooms.close())

  async function walk(method: string, url: string): Promise<void> {
    const answer = await fetch(`${rooms.url}/v1/openapi.json`)
    const document = (await answer.json()) as { paths: Record<string, Record<string, Operation>> }
    const { requestBody, parameters = [] } =
      document.paths[url.replaceAll(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()] ?? ({} as Operation)
    const schema = requestBody?.content['application/json']?.schema
    const body = bodies[`${method} ${url}`] ?? (schema && sampleOf(schema))
    const query = parameters
      .filter((parameter) => parameter.in === 'query' && parameter.required)
      .map(({ name, schema: of }) => `${name}=${sampleOf(of)}`)
      .join('&')
    const path = url.replaceAll(/:\w+/g, ID) + (query && `?${query}`)
    for (const client of clients) {
      try {
        await client.request(method, path, body === undefined ? {} : { body })
      } catch (error) {
        if (!isClientError(error)) throw error
        if (error.status === 400) malformed.push(`${method} ${url}: ${error.message}`)
      }
    }
  }

  it('has every route that gets to the rooms of homes', async () => {
    const found: string[] = []
    walking = true
    try {
      for (const { method, url } of rooms.api.routes()) {
        // The OpenID provider has the raw request, and `identity` alone.
        if (method === 'HEAD' || method === 'OPTIONS' || /^\/(oauth|\.well-known)\//.test(url)) continue
        came.clear()
        await walk(method, url)
        if (['home', 'registry', 'privacy'].some((room) => came.has(room))) found.push(`${method} ${url}`)
      }
    } finally {
      walking = false
    }
    // A sample that does not get past the door hides what is behind it.
    expect(malformed).toEqual([])
    expect(found.length).toBeGreaterThan(20)
    expect(await listed('Over HTTP')).toEqual(found.sort())
  })

  it('has every packet that a session takes, and every topic that a device may say something on', async () => {
    const { deviceId, password } = device
    const port = Number(new URL(rooms.mqttUrl).port)
    const connected = async () => {
      const socket = await RawClient.open({ port, version: 5 })
      socket.connectAs({ deviceId, password: password?.reveal() ?? '' })
      expect((await socket.next('connack')).reasonCode).toBe(0)
      return socket
    }
    const own = topicsOf(deviceId as DeviceId)
    const messageId = 7
    const topic = own.commands
    const packets: Packet[] = [
      {
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 5,
        clean: true,
        clientId: deviceId,
        keepalive: 0,
      },
      { cmd: 'connack', reasonCode: 0, sessionPresent: false },
      { cmd: 'publish', topic: own.events, payload: '{}', qos: 1, dup: false, retain: false, messageId },
      { cmd: 'puback', messageId },
      { cmd: 'pubrec', messageId },
      { cmd: 'pubrel', messageId },
      { cmd: 'pubcomp', messageId },
      { cmd: 'subscribe', messageId, subscriptions: [{ topic, qos: 1, nl: false, rap: false, rh: 0 }] },
      { cmd: 'suback', messageId, granted: [0] },
      { cmd: 'unsubscribe', messageId, unsubscriptions: [topic] },
      { cmd: 'unsuback', messageId, granted: [0] },
      { cmd: 'pingreq' },
      { cmd: 'pingresp' },
      { cmd: 'disconnect', reasonCode: 0 },
      { cmd: 'auth', reasonCode: 0x18 } as Packet,
    ]
    // All fifteen kinds that there are (MQTT 5 section 2.1.2).
    expect(
      new Set(packets.map((packet) => (generate(packet, { protocolVersion: 5 })[0] as number) >> 4)).size,
    ).toBe(15)
    const found = ['CONNECT']
    for (const packet of packets) {
      const socket = await connected()
      socket.send(packet)
      if (packet.cmd !== 'disconnect') socket.send({ cmd: 'pingreq' })
      const answer = await Promise.race([socket.next('pingresp'), socket.closed])
      const refused = socket.received.some(({ cmd }) => cmd === 'disconnect')
      if (answer || !refused) found.push(packet.cmd.toUpperCase())
      socket.socket.destroy()
    }
    const socket = await connected()
    for (const [name, of] of Object.entries(own)) {
      socket.publish(of, '{"never":"fits"}')
      const { reasonCode } = await socket.next('puback')
      // 0x99: only what was said is wrong, not that it was said there.
      if (reasonCode === 0x99) found.push(`PUBLISH ${name}`)
    }
    socket.socket.destroy()
    expect(await listed('Over MQTT')).toEqual(found.sort())
  })

  it('has everything that one process hears from another', async () => {
    expect(topics.size).toBeGreaterThan(5)
    expect(await listed('Between processes')).toEqual([...topics].sort())
  })

  it('has everything that a room offers about homes', async () => {
    const found = ['home', 'privacy', 'gateway'].flatMap((room) => {
      const face = rooms[room as 'home' | 'privacy' | 'gateway']
      const own = Object.getPrototypeOf(face) === Object.prototype ? face : Object.getPrototypeOf(face)
      return Object.getOwnPropertyNames(own)
        .filter((name) => !['constructor', 'start', 'close', 'stats'].includes(name))
        .map((name) => `${room}.${name}`)
    })
    expect(await listed('From room to room')).toEqual(found.sort())
  })

  it('has everything that runs by a clock, or reads what devices said', async () => {
    const found: string[] = []
    for (const entry of await readdir(SOURCES, { recursive: true, withFileTypes: true })) {
      if (!entry.name.endsWith('.ts')) continue
      const path = relative(SOURCES, join(entry.parentPath, entry.name))
      // Programs of their own, and the database's supervisor.
      if (/^(?:cli|client|drill|simulator|embedded)\//.test(path)) continue
      const source = await readFile(join(SOURCES, path), 'utf8')
      if (/\bset(?:Interval|Timeout|Immediate)\(|\.reader\(/.test(source)) found.push(path)
    }
    expect(await listed('By itself')).toEqual(found.sort())
  })
})
