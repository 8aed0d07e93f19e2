import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import { type AccountId, newId, Personal, Secret, type TenureId } from '../../src/core/index.ts'
import { createCanaryMarks } from '../../src/guard/canary-marks.ts'
import type { Finding } from '../../src/guard/index.ts'
import { createCopyStore } from '../../src/insight/copy-store.ts'
import { pseudonymOf } from '../../src/insight/pseudonyms.ts'
import { newClaimCode } from '../../src/registry/claim-code.ts'
import { newCustomer, type Rooms, readModel, startRooms } from '../support/start-rooms.ts'

const OFFICER = newId<AccountId>()
const PLANTED = '2026-10-03'
const mark = { store: 'files' as const, atMs: Date.parse(PLANTED) }

let rooms: Rooms
let marks: ReturnType<typeof createCanaryMarks>
let offsetMs = 0
let directory: string
beforeAll(async () => {
  const clock = { nowMs: () => Date.now() + offsetMs }
  directory = await mkdtemp(join(tmpdir(), 'copies-'))
  rooms = await startRooms({ guard: { clock }, copiesDirectory: directory })
  marks = createCanaryMarks({ keys: rooms.keys })
})
afterAll(async () => {
  await rooms.close()
  await rm(directory, { recursive: true, force: true })
})

/** The one finding, which is then closed. */
async function found(): Promise<Finding> {
  const finding = await vi.waitFor(async () => {
    const [only, ...more] = await rooms.guard.findings.list({ all: false })
    if (!only || more.length > 0) throw new Error('not one finding')
    return only
  })
  await rooms.guard.findings.close(finding.findingId, OFFICER, { note: 'tested' })
  offsetMs += 60_000
  return finding
}

/** What is tried is answered as what nobody planted is; the canary is found, the other is not. */
async function expectFound(door: string, tries: (value: 'canary' | 'wrong') => Promise<unknown>) {
  const wrong = await tries('wrong')
  const uses = rooms.guard.stats().guard_canary_uses_total
  expect(await tries('canary')).toEqual(wrong)
  expect(await found()).toMatchObject({
    kind: 'canary',
    storeKey: 'own:canary-files',
    name: 'the data directory',
    evidence: `what stands nowhere else was tried at ${door}; planted on ${PLANTED}`,
    cut: [],
  })
  expect(rooms.guard.stats().guard_canary_uses_total).toBeGreaterThan(uses as number)
}

async function answerOf(path: string, init: RequestInit = {}) {
  const response = await fetch(rooms.url + path, init)
  const { requestId: _id, instance: _instance, ...body } = JSON.parse((await response.text()) || '{}')
  return { status: response.status, body }
}

const token = (which: 'canary' | 'wrong', at = 0) =>
  which === 'canary' ? marks.token(mark, at).reveal() : randomBytes(32).toString('base64url')
const address = (which: 'canary' | 'wrong') =>
  new Personal(
    which === 'canary' ? `restore-${marks.code(mark).toLowerCase()}@example.org` : 'nobody@example.org',
  )

describe('what was planted is noticed, and answered like any wrong credential', () => {
  it('a token as bearer, with DPoP and without', async () => {
    for (const scheme of ['Bearer', 'DPoP'])
      await expectFound('the HTTP API', (which) =>
        answerOf('/v1/me', { headers: { authorization: `${scheme} ${token(which)}` } }),
      )
  })

  it('user and password by HTTP Basic', async () => {
    await expectFound('the HTTP API', (which) => {
      const pair = `someone:${which === 'canary' ? marks.password(mark).reveal() : 'wrong'}`
      return answerOf('/v1/me', {
        headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
      })
    })
  })

  it('a token or an id in a URL', async () => {
    await expectFound('the HTTP API', (which) => answerOf(`/v1/me?access_token=${token(which)}`))
    await expectFound('the HTTP API', (which) =>
      answerOf(`/v1/devices/${which === 'canary' ? marks.deviceId(mark, 3) : randomUUID()}`),
    )
  })

  it('a host name, whatever is asked for there', async () => {
    const ask = (host: string) =>
      new Promise((resolve, reject) => {
        const { port } = new URL(rooms.url)
        httpRequest({ host: '127.0.0.1', port, path: '/healthz', headers: { host } }, (answer) => {
          answer.resume().on('end', () => resolve(answer.statusCode))
        })
          .on('error', reject)
          .end()
      })
    await expectFound('the HTTP API', (which) =>
      ask(which === 'canary' ? `restore-${marks.code(mark).toLowerCase()}.example.org` : 'other.example.org'),
    )
  })

  it('a refresh token, and an authorization code', async () => {
    const grants = { refresh_token: 'refresh_token', authorization_code: 'code' }
    for (const [grant_type, name] of Object.entries(grants))
      await expectFound('the token endpoint', (which) =>
        answerOf('/oauth/token', {
          method: 'POST',
          body: new URLSearchParams({
            grant_type,
            client_id: 'hearthlock-cli',
            [name]: token(which, 1),
            redirect_uri: 'http://127.0.0.1/callback',
            code_verifier: 'v'.repeat(43),
          }),
        }),
      )
  })

  it('an address or a password at sign-in', async () => {
    const signIn = (client: Client, email: Personal, password: Secret) =>
      client
        .signIn({ clientId: 'hearthlock-cli', email, password })
        .catch(({ code, message }) => ({ code, message }))
    const client = await newCustomer(rooms)
    await expectFound('sign-in', (which) => signIn(client, address(which), new Secret('some wrong password')))
    await expectFound('sign-in', (which) =>
      signIn(
        client,
        new Personal('nobody@example.org'),
        which === 'canary' ? marks.password(mark) : new Secret('wrong'),
      ),
    )
  })

  it('an address at recovery, asking for a code and trying one', async () => {
    const post = (path: string, body: object) =>
      answerOf(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    await expectFound('recovery', (which) => post('/v1/recovery', { email: address(which).reveal() }))
    await expectFound('recovery', (which) =>
      post('/v1/recovery/complete', {
        email: address(which).reveal(),
        code: '00000-00000',
        newPassword: 'another long password',
      }),
    )
    expect((await rooms.mail.waiting()).filter(({ kind }) => kind === 'recovery_code')).toEqual([])
  })

  it('a claim code, typed or scanned', async () => {
    const accountId = newId<AccountId>()
    const { householdId } = await rooms.registry.createHousehold(accountId, { name: new Personal('Home') })
    const claim = (code: string) =>
      rooms.registry
        .claim({ accountId, householdId, code: new Secret(code) })
        .catch(({ code, message }) => ({ code, message }))
    for (const prefix of ['', 'HEARTH:1:'])
      await expectFound('a claim', (which) =>
        claim(prefix + (which === 'canary' ? marks.code(mark) : newClaimCode().reveal().replaceAll('-', ''))),
      )
    await expectFound('a claim', (which) =>
      claim(which === 'canary' ? marks.code(mark).replace(/(.{4})(?=.)/g, '$1-') : newClaimCode().reveal()),
    )
  })

  it('a device id or a password over MQTT', async () => {
    const connect = (username: string, password: string) =>
      mqtt
        .connectAsync(rooms.mqttUrl, { username, password, clientId: username, reconnectPeriod: 0 }, false)
        .catch(({ code, message }) => ({ code, message }))
    await expectFound('MQTT', (which) =>
      connect(which === 'canary' ? marks.deviceId(mark, 0) : randomUUID(), 'guess'),
    )
    await expectFound('MQTT', (which) =>
      connect(randomUUID(), which === 'canary' ? marks.password(mark).reveal() : 'guess'),
    )
  })

  it('a pseudonym of a copy, wherever it is tried, also when the copy is burned; its feed is cut', async () => {
    const made = await rooms.insight.create({
      owner: OFFICER,
      name: 'quality',
      purpose: new Personal('how well locks work'),
      fields: ['device.pseudonym', 'device.active'],
      grain: 'hour',
      expiresSeconds: 86_400,
      to: 'file',
      minGroup: 1,
      from: 'now',
    })
    const stored = await createCopyStore(rooms).find('quality')
    const key = await rooms.keys.open(stored.key_id)
    const pseudonym = () => pseudonymOf(key, newId<TenureId>(), stored.open.recognition)
    const known = pseudonym()
    const day = new Date().toISOString().slice(0, 10)
    const finding = {
      kind: 'canary',
      storeKey: `feed:${made.copyId}`,
      name: 'copy quality',
      evidence: `what stands nowhere else was tried at the HTTP API; planted on ${day}`,
    }

    const tryAt = (text: string) => answerOf('/v1/me', { headers: { authorization: `Bearer ${text}` } })
    expect(await tryAt(known)).toEqual(await tryAt(randomBytes(16).toString('base64url')))
    expect(await found()).toMatchObject({ ...finding, cut: ['quality'] })
    expect((await rooms.insight.copy('quality')).state).toBe('cut')

    await rooms.insight.burn(made.copyId, OFFICER)
    await tryAt(known)
    expect(await found()).toMatchObject({ ...finding, cut: [] })
  })

  it('a device of the database that nobody makes', async () => {
    const { id } = await rooms.registry.addModel((await readModel('hearth-lock')) as never)
    const made = await rooms.registry.provision({ modelId: id, count: 5 })
    const { rows } = await rooms.database.pool.query<{ device_id: string }>(
      'select device_id from registry.device',
    )
    const planted = rows.filter((row) => made.every(({ deviceId }) => deviceId !== row.device_id))
    expect(planted).toHaveLength(1)
    const username = planted[0]?.device_id ?? ''
    await expect(
      mqtt.connectAsync(rooms.mqttUrl, { username, password: 'guess', reconnectPeriod: 0 }, false),
    ).rejects.toThrow()
    const day = new Date(Date.now() + offsetMs).toISOString().slice(0, 10)
    expect(await found()).toMatchObject({
      storeKey: 'own:canary-database',
      name: 'the database',
      evidence: `what stands nowhere else was tried at MQTT; planted on ${day}`,
    })
  })

  it('however often it is tried, it is one finding', async () => {
    for (let at = 0; at < 20; at++) {
      offsetMs += 20_000
      await answerOf('/v1/me', { headers: { authorization: `Bearer ${token('canary')}` } })
    }
    await found()
    expect(await rooms.guard.findings.list({ all: false })).toEqual([])
  })
})
