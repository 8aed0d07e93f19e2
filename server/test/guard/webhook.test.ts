import { createHmac, timingSafeEqual } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/core/index.ts'
import { webhookKey } from '../../src/guard/index.ts'
import { type Call, createGuardWorld, type GuardWorld, OFFICER, OPEN, startReceiver, until } from './world.ts'

const STORE = 'redis://10.0.0.7:6379'

/** As a receiver does it that knows nothing of this code (Standard Webhooks, "Verifying signatures"). */
function isSigned({ headers, body }: Call, secret: Secret): boolean {
  const key = Buffer.from(secret.reveal().slice('whsec_'.length), 'base64')
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const expected = createHmac('sha256', key).update(signed).digest()
  const [version, signature = ''] = String(headers['webhook-signature']).split(',')
  const given = Buffer.from(signature, 'base64')
  return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected)
}

describe('the webhook', () => {
  let world: GuardWorld
  let receiver: Awaited<ReturnType<typeof startReceiver>>
  const close: (() => Promise<void>)[] = []

  beforeEach(async () => {
    world = await createGuardWorld()
    world.answers.set(STORE, [OPEN])
  })
  afterEach(async () => {
    await world.close()
    for (const each of close.splice(0)) await each()
  })

  async function receive(answer?: (call: Call) => number): Promise<void> {
    receiver = await startReceiver(answer)
    close.push(receiver.close)
  }

  async function open() {
    const guard = world.guard({ webhook: receiver.webhook })
    await guard.stores.add({ name: 'Redis', address: STORE }, OFFICER)
    await guard.stores.lookNow()
    await guard.start()
    return guard
  }

  it('is called with what was found and what to do, signed with an id and a time', async () => {
    await receive()
    await open()
    await until(() => receiver.calls.length > 0)
    const [call] = receiver.calls as [Call]
    expect(isSigned(call, receiver.secret)).toBe(true)
    expect(isSigned({ ...call, body: `${call.body} ` }, receiver.secret)).toBe(false)
    expect(Math.abs(Number(call.headers['webhook-timestamp']) - Date.now() / 1000)).toBeLessThan(60)
    expect(call.headers['content-type']).toBe('application/json')
    expect(JSON.parse(call.body)).toMatchObject({
      type: 'guard.finding',
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      data: {
        findingId: 1,
        kind: 'open',
        store: 'Redis',
        address: STORE,
        evidence: 'Redis: 3 keys',
        page: 1,
        nextSteps: expect.arrayContaining(['hearthlock findings acknowledge 1']),
      },
    })
  })

  it('is called again until it answers with 2xx, with one id, and after that no more', async () => {
    let calls = 0
    await receive(() => (++calls < 3 ? 503 : 200))
    const guard = await open()
    await until(() => receiver.calls.length === 1)
    expect(guard.stats()).toMatchObject({ guard_webhook_sent_total: 0 })
    world.clock.advance(6)
    await until(() => receiver.calls.length === 2)
    world.clock.advance(16)
    await until(() => receiver.calls.length === 3)
    expect(new Set(receiver.calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(receiver.calls.every((call) => isSigned(call, receiver.secret))).toBe(true)
    await until(async () => (await world.database.pool.query('select 1 from guard.webhook')).rowCount === 0)
    world.clock.advance(120)
    const looks = world.looks.length
    await until(() => world.looks.length > looks + 10)
    expect(receiver.calls).toHaveLength(3)
  })

  it('does not follow to another place', async () => {
    await receive(() => 302)
    await open()
    await until(() => receiver.calls.length > 0)
    world.clock.advance(6)
    await until(() => receiver.calls.length > 1)
    expect(new Set(receiver.calls.map(({ path }) => path))).toEqual(new Set(['/pages']))
    expect(
      (await world.database.pool.query('select attempts from guard.webhook')).rows[0].attempts,
    ).toBeGreaterThan(0)
  })

  it('survives the end of the process: the next one calls', async () => {
    let up = false
    await receive(() => (up ? 200 : 500))
    const first = await open()
    await until(() => receiver.calls.length > 0)
    await first.close()
    up = true
    world.clock.advance(10)
    await world.guard({ webhook: receiver.webhook }).start()
    await until(async () => (await world.database.pool.query('select 1 from guard.webhook')).rowCount === 0)
    const ids = receiver.calls.map(({ headers }) => headers['webhook-id'])
    expect(new Set(ids).size).toBe(1)
  })

  it('letters go out when its host is down, and it is called when letters cannot be written', async () => {
    await receive()
    await receiver.close()
    close.pop()
    await open()
    await until(() => world.letters.length > 0)

    await receive()
    const send = async () => {
      throw new Error('the vault is broken')
    }
    const mail = { sends: () => true, securityOfficers: async () => [OFFICER], send }
    world.answers.set('redis://10.0.0.8:6379', [OPEN])
    const guard = world.guard({ webhook: receiver.webhook, mail })
    await guard.stores.add({ name: 'Second', address: 'redis://10.0.0.8:6379' }, OFFICER)
    await guard.stores.lookNow()
    await guard.start()
    await until(() => receiver.calls.some(({ body }) => body.includes('Second')))
  })

  it('takes a secret of the standard’s form only', () => {
    expect(webhookKey(new Secret(`whsec_${Buffer.alloc(24).toString('base64')}`))).toHaveLength(24)
    for (const wrong of [
      '',
      'secret',
      'whsec_',
      `whsec_${Buffer.alloc(23).toString('base64')}`,
      'whsec_***',
    ]) {
      expect(() => webhookKey(new Secret(wrong))).toThrow(expect.objectContaining({ code: 'start_refused' }))
    }
  })
})
