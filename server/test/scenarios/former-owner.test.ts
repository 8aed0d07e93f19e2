import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { AccountId } from '../../src/core/index.ts'
import type { ExportRecord } from '../../src/privacy/index.ts'
import { newCustomer, newOperator, operatorWith, type Rooms, startRooms } from '../support/start-rooms.ts'
import {
  type Command,
  createTwoHomes,
  nextCommand,
  obeyFrom,
  outcome,
  roomyLimits,
  say,
  type Timeline,
  type TwoHomes,
  type Watch,
  watch,
  ways,
} from '../support/two-homes.ts'

const DAY_MS = 86_400_000
const ofAda = { 'BasicInformation.NodeLabel': 'said to Ada' }
const ofGrace = { 'BasicInformation.NodeLabel': 'said to Grace' }

let a: Rooms
let b: Rooms
const watches: Watch[] = []
beforeAll(async () => {
  a = await startRooms({ limits: roomyLimits })
  b = await startRooms({ beside: a, limits: roomyLimits })
  await newOperator(a)
})
afterEach(() => {
  for (const seen of watches.splice(0)) seen.close()
})
afterAll(async () => {
  await b.close()
  await a.close()
})

async function watching(who: Parameters<typeof watch>[0]): Promise<Watch> {
  const seen = await watch(who)
  watches.push(seen)
  return seen
}

for (const processes of ['one process', 'two processes'] as const) {
  describe(`at ${processes}, through the API`, () => {
    let homes: TwoHomes
    beforeAll(async () => {
      homes = await createTwoHomes(processes === 'one process' ? a : b, a)
    })
    afterAll(() => homes.close())

    for (const way of ways) {
      describe(`the former owner of a device that was ${way}`, () => {
        it('sees nothing of it and moves nothing on it, by any request', async () => {
          const { ada } = homes
          const lamp = await homes.thing()
          await obeyFrom(lamp)
          const path = `/v1/devices/${lamp.deviceId}`
          const before = await ada.client.request<Command>('POST', `${path}/commands`, {
            body: { command: 'OnOff.On' },
          })
          await homes.move(lamp, way)
          await obeyFrom(lamp)
          const command = { body: { command: 'OnOff.Off' } }
          const history = { body: { history: 'destroy' } }
          const asked: Record<string, () => Promise<unknown>> = {
            see: () => ada.client.request('GET', path),
            timeline: () => ada.client.request('GET', `${path}/timeline`),
            command: () => ada.client.request('POST', `${path}/commands`, command),
            outcome: () => ada.client.request('GET', `/v1/commands/${before.commandId}`),
            rename: () => ada.client.request('PATCH', path, { body: { nickname: 'Mine' } }),
            release: () => ada.client.request('POST', `${path}/release`, history),
            offer: () => ada.client.request('POST', `${path}/transfer-offers`, history),
            offers: () => ada.client.request('GET', `${path}/transfer-offers`),
            cancel: () => ada.client.request('DELETE', `${path}/transfer-offers`),
          }
          for (const [name, work] of Object.entries(asked))
            expect([name, await outcome(work())]).toEqual([name, 'not_found'])
          const held = await ada.client.request<{ devices: { deviceId: string }[] }>(
            'GET',
            `/v1/households/${ada.householdId}/devices`,
          )
          expect(held.devices.map(({ deviceId }) => deviceId)).not.toContain(lamp.deviceId)
          // What Grace asks for is the first thing that the device hears.
          await homes.grace.client.request('POST', `${path}/commands`, { body: { command: 'OnOff.Toggle' } })
          expect((await nextCommand(lamp)).command).toBe('OnOff.Toggle')
        })

        it('reads only the own past of it, and the next owner reads nothing of that', async () => {
          const { ada, grace } = homes
          const lamp = await homes.thing('hearth-bulb', 'Ada’s lamp')
          await say(lamp, 'attributes', ofAda)
          await homes.move(lamp, way)
          await say(lamp, 'attributes', ofGrace)
          await vi.waitFor(async () =>
            expect(JSON.stringify(await homes.timeline(grace, lamp))).toContain('said to Grace'),
          )
          const past = await homes.past(ada, lamp)
          const pastTimeline = `/v1/tenures/${past?.tenureId}/timeline`
          const own = await ada.client.request<Timeline>('GET', pastTimeline)
          expect(JSON.stringify(own)).toContain('said to Ada')
          expect(JSON.stringify(own)).not.toContain('said to Grace')

          expect(JSON.stringify(await homes.timeline(grace, lamp))).not.toContain('said to Ada')
          const seen = await grace.client.request<{ nickname?: string; attributes: object }>(
            'GET',
            `/v1/devices/${lamp.deviceId}`,
          )
          expect(seen.nickname).toBeUndefined()
          expect(Object.keys(seen.attributes)).toEqual(['1/BasicInformation.NodeLabel'])
          expect(await homes.past(grace, lamp)).toBeUndefined()
          expect(await outcome(grace.client.request('GET', pastTimeline))).toBe('not_found')
          expect(await outcome(grace.client.request('DELETE', `/v1/tenures/${past?.tenureId}/history`))).toBe(
            'not_found',
          )
          const log = await grace.client.request('GET', `/v1/households/${grace.householdId}/log`)
          expect(JSON.stringify(log)).not.toContain('Ada’s lamp')

          const current = await a.registry.currentTenure(lamp.deviceId)
          for (const [method, name] of [
            ['GET', 'timeline'],
            ['DELETE', 'history'],
          ] as const) {
            const work = ada.client.request(method, `/v1/tenures/${current?.tenureId}/${name}`)
            expect(await outcome(work)).toBe('not_found')
          }
          await ada.client.request('DELETE', `/v1/tenures/${past?.tenureId}/history`)
          expect(await outcome(ada.client.request('GET', pastTimeline))).toBe('not_found')
          expect(JSON.stringify(await homes.timeline(grace, lamp))).toContain('said to Grace')
        })

        it('is told nothing more by a live stream that was open', async () => {
          const { ada, grace } = homes
          const lamp = await homes.thing()
          const [byAda, byGrace] = [await watching(ada), await watching(grace)]
          await say(lamp, 'attributes', ofAda)
          // Until her stream has told it: what the end cuts off is told no more.
          await homes.rung(ada, byAda)
          await homes.end(lamp, way)
          await homes.rung(ada, byAda)
          const told = byAda.of(lamp).length
          expect(JSON.stringify(byAda.of(lamp))).toContain('said to Ada')
          await homes.begin(lamp, way)
          await obeyFrom(lamp)
          await say(lamp, 'attributes', ofGrace)
          await grace.client.request('POST', `/v1/devices/${lamp.deviceId}/commands`, {
            body: { command: 'OnOff.On' },
          })
          await homes.rung(grace, byGrace)
          await homes.rung(ada, byAda)
          expect(byAda.of(lamp).slice(told)).toEqual([])
          expect(JSON.stringify(byGrace.of(lamp))).not.toContain('said to Ada')
          expect(byGrace.of(lamp).map(({ kind }) => kind)).toContain('command')
        })

        it('is answered at once when a request waits for a command', async () => {
          const { ada } = homes
          const lamp = await homes.thing()
          await obeyFrom(lamp)
          const waiting = outcome(
            ada.client.request('POST', `/v1/devices/${lamp.deviceId}/commands`, {
              body: { command: 'OnOff.On' },
              headers: { prefer: 'wait=25' },
            }),
          )
          await nextCommand(lamp)
          await homes.end(lamp, way)
          expect(await waiting).toBe('not_found')
        })

        it('turns no more pages, neither of a timeline nor of an export that is half way', async () => {
          const { ada, grace } = homes
          const lamp = await homes.thing()
          for (let level = 1; level <= 120; level += 1)
            lamp.socket.publish(lamp.topic('attributes'), { 'LevelControl.CurrentLevel': level }, { qos: 0 })
          await say(lamp, 'attributes', { 'LevelControl.CurrentLevel': 121 })
          await vi.waitFor(async () =>
            expect((await homes.timeline(ada, lamp, '?limit=200')).entries.length).toBeGreaterThan(120),
          )
          const page = await homes.timeline(ada, lamp, '?limit=5')
          const half = exportOf(ada.at, ada.accountId)
          for (;;) {
            const record = await half.next()
            if (record?.record === 'timeline' && record.deviceId === lamp.deviceId) break
          }
          await homes.move(lamp, way)
          await say(lamp, 'attributes', ofGrace)
          await vi.waitFor(async () =>
            expect(JSON.stringify(await homes.timeline(grace, lamp))).toContain('said to Grace'),
          )

          const next = `?before=${page.next}`
          expect(await outcome(homes.timeline(ada, lamp, next))).toBe('not_found')
          expect((await homes.timeline(grace, lamp, next)).entries).toEqual([])
          const rest = await half.rest()
          expect(rest).toContainEqual(
            expect.objectContaining({ record: 'stopped', of: 'timeline', deviceId: lamp.deviceId }),
          )
          expect(JSON.stringify(rest)).not.toContain('said to Grace')
        })

        it('gets nothing out of caches: not by conditions, nor by an idempotency key', async () => {
          const { ada, grace } = homes
          const lamp = await homes.thing()
          await obeyFrom(lamp)
          const path = `/v1/devices/${lamp.deviceId}`
          const command = { body: { command: 'OnOff.On' }, headers: { 'idempotency-key': 'once' } }
          const hers = await ada.client.request<Command>('POST', `${path}/commands`, command)
          await homes.move(lamp, way)
          expect(await outcome(ada.client.request('POST', `${path}/commands`, command))).toBe('not_found')
          const his = await grace.client.request<Command>('POST', `${path}/commands`, command)
          expect(his.commandId).not.toBe(hers.commandId)
          for (const headers of [
            { 'if-none-match': '*' },
            { 'if-modified-since': new Date(Date.now() + DAY_MS).toUTCString() },
            { 'cache-control': 'only-if-cached, max-stale' },
            { range: 'bytes=0-' },
          ] as Record<string, string>[])
            expect(await outcome(ada.client.request('GET', path, { headers }))).toBe('not_found')
        })

        it('comes back by no offer, invitation or grant that was made before', async () => {
          const { ada, grace } = homes
          const lamp = await homes.thing()
          const home = (name: string) => `/v1/households/${ada.householdId}/${name}`
          const guest = {
            role: 'guest',
            guest: {
              until: new Date(Date.now() + DAY_MS).toISOString(),
              devices: [{ deviceId: lamp.deviceId, acts: ['control'] }],
            },
          }
          const invited = async (body: object) =>
            (await ada.client.request<{ code: string }>('POST', home('invitations'), { body })).code
          const [bob, carol, dan] = [
            await newCustomer(ada.at),
            await newCustomer(ada.at),
            await newCustomer(grace.at),
          ]
          await bob.request('POST', '/v1/invitations/accept', { body: { code: await invited(guest) } })
          const [asGuest, asAdult] = [await invited(guest), await invited({ role: 'adult' })]
          const support = await operatorWith(a, ['support'])
          const request = await support.request<{ code: string }>('POST', '/v1/operator/access-requests')
          await ada.client.request('POST', home('support-access'), {
            body: { code: request.code, devices: [lamp.deviceId], acts: ['control'], hours: 4 },
          })
          const early = await homes.offer(lamp)
          const path = `/v1/devices/${lamp.deviceId}`
          for (const guestOf of [bob, support])
            expect(await outcome(guestOf.request('GET', path))).toBe('done')

          await homes.move(lamp, way)
          await obeyFrom(lamp)
          await outcome(carol.request('POST', '/v1/invitations/accept', { body: { code: asGuest } }))
          expect(
            await outcome(dan.request('POST', '/v1/invitations/accept', { body: { code: asAdult } })),
          ).toBe('done')
          for (const before of [bob, carol, dan, support]) {
            expect(await outcome(before.request('GET', path))).toBe('not_found')
            expect(await outcome(before.request('GET', `${path}/timeline`))).toBe('not_found')
            const body = { command: 'OnOff.On' }
            expect(await outcome(before.request('POST', `${path}/commands`, { body }))).toBe('not_found')
          }
          for (const who of [ada, { client: dan, householdId: ada.householdId }]) {
            const taking = who.client.request('POST', `/v1/households/${who.householdId}/transfers`, {
              body: { code: early },
            })
            expect(await outcome(taking)).toBe('code_refused')
          }
          expect(await outcome(homes.accept(early))).toBe('code_refused')
          expect(await outcome(grace.client.request('GET', path))).toBe('done')
        })

        it('claims it by the known code neither before nor after, nor together with the next owner', async () => {
          const { ada, grace } = homes
          const lamp = await homes.thing()
          expect(await outcome(homes.claim(ada, lamp))).toBe('claim_refused')
          await homes.end(lamp, way)
          await lamp.socket.closed
          lamp.socket = await homes.connected(lamp)
          if (way !== 'reset and claimed') expect(await outcome(homes.claim(ada, lamp))).toBe('claim_refused')
          if (way === 'released, reset and claimed') await homes.pressReset(lamp)
          if (way !== 'transferred') await homes.claim(grace, lamp)
          const again = Array.from({ length: 5 }, () => outcome(homes.claim(ada, lamp)))
          expect(new Set(await Promise.all(again))).toEqual(new Set(['claim_refused']))
          await grace.client.request('POST', `/v1/devices/${lamp.deviceId}/release`, {
            body: { history: 'keep' },
          })
          await lamp.socket.closed
          lamp.socket = await homes.connected(lamp)
          expect(await outcome(homes.claim(ada, lamp))).toBe('claim_refused')
        })

        it('has a session that goes on, by its tokens, without the device', async () => {
          const { ada } = homes
          const lamp = await homes.thing()
          await homes.move(lamp, way)
          const path = `/v1/devices/${lamp.deviceId}`
          expect(await outcome(ada.client.request('GET', path))).toBe('not_found')
          // A fresh access token, by the refresh token of before.
          await a.database.pool
            .query("delete from identity.artifact where kind = 'AccessToken'")
            .catch(() => {})
          expect(await outcome(ada.client.request('GET', path))).toBe('not_found')
          expect(await outcome(ada.client.request('GET', '/v1/households'))).toBe('done')
        })
      })
    }
  })
}

/** An export that is read piece by piece. */
function exportOf(at: Rooms, accountId: string) {
  const records = at.privacy.export(accountId as AccountId)
  return {
    async next(): Promise<ExportRecord | undefined> {
      return (await records.next()).value as ExportRecord | undefined
    },
    async rest(): Promise<ExportRecord[]> {
      const rest: ExportRecord[] = []
      for await (const record of records) rest.push(record)
      return rest
    },
  }
}
