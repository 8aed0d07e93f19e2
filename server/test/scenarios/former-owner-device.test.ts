import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Secret } from '../../src/core/index.ts'
import { beginRenewal } from '../../src/simulator/credential.ts'
import { tokenOf } from '../gateway/world.ts'
import { type Rooms, startRooms } from '../support/start-rooms.ts'
import {
  type Command,
  createTwoHomes,
  nextCommand,
  obeyFrom,
  otherCommands,
  outcome,
  roomyLimits,
  say,
  session,
  type Thing,
  type Timeline,
  type TwoHomes,
  ways,
} from '../support/two-homes.ts'

const ofAda = { 'BasicInformation.NodeLabel': 'said to Ada' }
const ofGrace = { 'BasicInformation.NodeLabel': 'said to Grace' }
const persistent = { clean: false, properties: { sessionExpiryInterval: 86_400 } }

let a: Rooms
let b: Rooms
beforeAll(async () => {
  a = await startRooms({ limits: roomyLimits })
  b = await startRooms({ beside: a, limits: roomyLimits })
})
afterAll(async () => {
  await b.close()
  await a.close()
})

/** What "Burglars' IoT Paradise" (2020) found in the MQTT services of large clouds, and what else a device brings along. */
for (const processes of ['one process', 'two processes'] as const) {
  describe(`at ${processes}, through MQTT`, () => {
    let homes: TwoHomes
    beforeAll(async () => {
      homes = await createTwoHomes(processes === 'one process' ? a : b, a)
    })
    afterAll(() => homes.close())

    const asks = async ({ client }: TwoHomes['ada'], { deviceId }: Thing, command: string, wait = 0) =>
      client.request<Command>('POST', `/v1/devices/${deviceId}/commands`, {
        body: { command },
        headers: { prefer: `wait=${wait}` },
      })
    const seen = async (by: TwoHomes['ada'], device: Thing) =>
      JSON.stringify((await homes.timeline(by, device, '?limit=200')).entries.map(({ payload }) => payload))
    const pastOfAda = async (device: Thing) => {
      const path = `/v1/tenures/${(await homes.past(homes.ada, device))?.tenureId}/timeline?limit=200`
      const { entries } = await homes.ada.client.request<Timeline>('GET', path)
      return JSON.stringify(entries.map(({ payload }) => payload))
    }
    /** Everything that was acknowledged before is in the timelines when this returns. */
    async function settled(device: Thing): Promise<void> {
      await say(device, 'attributes', ofGrace)
      await vi.waitFor(async () => expect(await seen(homes.grace, device)).toContain('said to Grace'))
    }

    for (const way of ways) {
      describe(`a device that was ${way}`, () => {
        it('loses the session of before with its subscription, and takes commands in its new one only', async () => {
          const lamp = await homes.thing()
          await obeyFrom(lamp)
          const former = lamp.socket
          await homes.move(lamp, way)
          await former.closed
          expect(
            former.received.map((packet) => [packet.cmd, 'reasonCode' in packet && packet.reasonCode]),
          ).toEqual([['disconnect', 0x98]])
          expect(await asks(homes.grace, lamp, 'OnOff.On')).toMatchObject({ state: 'queued' })
          await obeyFrom(lamp)
          expect((await nextCommand(lamp)).command).toBe('OnOff.On')
        })

        it('finds nothing kept when it asks for a persistent session', async () => {
          const lamp = await homes.thing()
          lamp.socket.socket.destroy()
          lamp.socket = await session(homes.ada.at, lamp, persistent)
          expect(await lamp.socket.next('connack')).toMatchObject({
            sessionPresent: false,
            properties: { sessionExpiryInterval: 0 },
          })
          await obeyFrom(lamp)
          await asks(homes.ada, lamp, 'OnOff.On')
          await lamp.socket.next('publish')
          await homes.move(lamp, way)
          lamp.socket.socket.destroy()
          await lamp.socket.closed
          lamp.socket = await session(homes.grace.at, lamp, persistent)
          expect((await lamp.socket.next('connack')).sessionPresent).toBe(false)
          expect(await asks(homes.grace, lamp, 'OnOff.Off')).toMatchObject({ state: 'queued' })
          await obeyFrom(lamp)
          expect((await nextCommand(lamp)).command).toBe('OnOff.Off')
          expect(otherCommands(lamp)).toEqual([])
        })

        it('leaves neither a Will nor a retained message behind', async () => {
          const lamp = await homes.thing()
          const will = {
            topic: lamp.topic('attributes'),
            payload: Buffer.from('{"OnOff.OnOff":true}'),
            qos: 1 as const,
            retain: true,
          }
          const willing = await session(homes.ada.at, lamp, { will })
          expect((await willing.next('connack')).reasonCode).toBe(0x83)
          await willing.closed
          for (const name of ['commands', 'attributes']) {
            const retaining = await session(homes.ada.at, lamp)
            await retaining.next('connack')
            retaining.publish(lamp.topic(name), { 'OnOff.OnOff': true }, { retain: true })
            expect((await retaining.next('disconnect')).reasonCode).toBe(0x9a)
            await retaining.closed
          }
          await homes.move(lamp, way)
          lamp.socket.subscribe(`hearth/1/${lamp.deviceId}/#`)
          await lamp.socket.next('suback')
          await asks(homes.grace, lamp, 'OnOff.Off')
          expect((await nextCommand(lamp)).command).toBe('OnOff.Off')
          await settled(lamp)
          expect(await seen(homes.grace, lamp)).not.toContain('OnOff.OnOff')
        })

        it('is sent no command that waited for it', async () => {
          const lamp = await homes.thing()
          lamp.socket.socket.destroy()
          await vi.waitFor(() => expect(homes.ada.at.gateway.isOnline(lamp.deviceId)).toBe(false))
          const waits = await asks(homes.ada, lamp, 'OnOff.On')
          expect(waits.state).toBe('queued')
          await homes.move(lamp, way)
          await obeyFrom(lamp)
          await asks(homes.grace, lamp, 'OnOff.Off')
          expect((await nextCommand(lamp)).command).toBe('OnOff.Off')
          expect(otherCommands(lamp)).toEqual([])
          expect(await pastOfAda(lamp)).toContain('abandoned')
        })

        it('ends no command of before by a PUBACK or a result that comes late, and tells nobody of it', async () => {
          const lamp = await homes.thing()
          await obeyFrom(lamp)
          const asked = await asks(homes.ada, lamp, 'OnOff.On')
          const { id, messageId } = await nextCommand(lamp)
          expect(id).toBe(asked.commandId)
          await homes.move(lamp, way)
          await obeyFrom(lamp)
          lamp.socket.send({ cmd: 'puback', messageId: messageId as number })
          const response = { id, status: 'SUCCESS' }
          await say(lamp, 'results', response)
          await settled(lamp)
          expect(await seen(homes.grace, lamp)).not.toContain(id)
          expect(await pastOfAda(lamp)).toContain('abandoned')
          expect(await pastOfAda(lamp)).not.toContain('"result"')
          for (const { client } of [homes.ada, homes.grace])
            expect(await outcome(client.request('GET', `/v1/commands/${id}`))).toBe('not_found')
        })

        it('puts nothing of before into the new time by sending it again', async () => {
          const lamp = await homes.thing()
          await say(lamp, 'attributes', { ...ofAda, $id: 'known-by-id' }, { messageId: 5 })
          await say(
            lamp,
            'events',
            { 'BasicInformation.StartUp': { SoftwareVersion: 4711 } },
            { messageId: 6 },
          )
          await homes.move(lamp, way)
          expect(await say(lamp, 'attributes', { ...ofAda, $id: 'known-by-id' }, { messageId: 5 })).toBe(0)
          const startUp = { 'BasicInformation.StartUp': { SoftwareVersion: 4711 } }
          expect(await say(lamp, 'events', startUp, { messageId: 6, dup: true })).toBe(0)
          await settled(lamp)
          expect(await seen(homes.grace, lamp)).not.toContain('said to Ada')
          expect(await seen(homes.grace, lamp)).not.toContain('4711')
          expect(await pastOfAda(lamp)).toContain('said to Ada')
        })

        it('leaves what it was saying at the change with the tenure that it was said in, or nowhere', async () => {
          const lamp = await homes.thing()
          const { socket } = lamp
          const ending = homes.end(lamp, way)
          for (let level = 1; level <= 200; level += 1) {
            socket.publish(lamp.topic('attributes'), { 'LevelControl.CurrentLevel': level }, { qos: 0 })
            if (level % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
          }
          await ending
          await homes.begin(lamp, way)
          await settled(lamp)
          expect(await seen(homes.grace, lamp)).not.toContain('LevelControl')
        })

        it('lets in nobody by the key and the password of before, once it has replaced them', async () => {
          const lamp = await homes.thing()
          const before = { ...lamp, privateKeyPem: lamp.privateKeyPem?.reveal() ?? '' }
          await homes.move(lamp, way)
          await obeyFrom(lamp)
          const { id, arguments: asked } = await nextCommand(lamp, true)
          const renewal = await beginRenewal(
            { ...lamp, privateKeyPem: lamp.privateKeyPem as Secret },
            asked.CSRNonce ?? '',
          )
          await say(lamp, 'results', { id, status: 'SUCCESS', response: renewal.response })
          const { arguments: given } = await nextCommand(lamp, true)
          const after = renewal.complete(given.NOCValue ?? '')

          const byKey = async (privateKeyPem: string) => {
            const password = Buffer.from(tokenOf({ ...lamp, privateKeyPem }))
            const socket = await session(homes.grace.at, lamp, { password })
            return (await socket.next('connack')).reasonCode
          }
          expect(await byKey(after.privateKeyPem.reveal())).toBe(0)
          expect(await byKey(before.privateKeyPem)).toBe(0x86)
          expect((await (await session(homes.ada.at, lamp)).next('connack')).reasonCode).toBe(0x86)
        })

        it('is not taken over, heard or spoken for by another device of its former owner', async () => {
          const lamp = await homes.thing()
          const other = await homes.thing()
          await homes.move(lamp, way)
          for (const overrides of [
            { clientId: lamp.deviceId },
            { clientId: lamp.deviceId, username: lamp.deviceId },
          ]) {
            const taking = await session(homes.ada.at, other, overrides)
            expect((await taking.next('connack')).reasonCode).toBeOneOf([0x85, 0x86])
          }
          expect(lamp.socket.ended).toBe(false)
          for (const filter of [lamp.topic('commands'), lamp.topic('#'), 'hearth/1/+/commands', '#']) {
            other.socket.subscribe(filter)
            expect((await other.socket.next('suback')).granted).toEqual([0x87])
          }
          other.socket.publish(lamp.topic('attributes'), ofAda)
          expect((await other.socket.next('puback')).reasonCode).toBe(0x87)
          await settled(lamp)
          expect(await seen(homes.grace, lamp)).not.toContain('said to Ada')
        })
      })
    }
  })
}
