import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import { AppError, type HouseholdId, type TenureId } from '../../src/core/index.ts'
import type { ResetRequest } from '../../src/guard/index.ts'
import {
  connectDevice,
  newCustomer,
  newOperator,
  operatorWith,
  provisionDevice,
  type Rooms,
  startRooms,
} from '../support/start-rooms.ts'

const ledger = new Map<string, TenureId[]>()
async function* touched(store: string): AsyncGenerator<TenureId[]> {
  const tenures = ledger.get(store)
  if (!tenures) throw new AppError('not_found')
  for (const tenureId of tenures) yield [tenureId]
}

let rooms: Rooms
let officer: Client
beforeEach(async () => {
  ledger.clear()
  rooms = await startRooms({ touched, bus: { beatMs: 20 } })
  officer = await newOperator(rooms)
})
afterEach(() => rooms.close())

interface Home {
  client: Client
  householdId: HouseholdId
}

async function settle(): Promise<Home> {
  const client = await newCustomer(rooms)
  const { householdId } = await client.request<{ householdId: HouseholdId }>('POST', '/v1/households', {
    body: { name: 'Home' },
  })
  return { client, householdId }
}

/** A device of this home, connected. */
async function held({ client, householdId }: Home) {
  const device = await provisionDevice(rooms, 'hearth-bulb')
  const mqtt = await connectDevice(rooms, device)
  await client.request('POST', `/v1/households/${householdId}/claims`, {
    body: { code: device.claimCode.reveal() },
  })
  const { rows } = await rooms.database.pool.query(
    'select tenure_id from registry.tenure where device_id = $1',
    [device.deviceId],
  )
  return {
    device,
    mqtt,
    tenureId: rows[0].tenure_id as TenureId,
    closed: new Promise<void>((done) => mqtt.once('close', () => done())),
  }
}

interface View {
  resetId: string
  state: string
  voidAt?: string
  removedSignIns: number
  closedConnections: number
}

const reset = (body: ResetRequest) => officer.request<View>('POST', '/v1/resets', { body: { ...body } })
const plan = (body: ResetRequest) =>
  officer.request<Record<string, number>>('POST', '/v1/resets/plan', { body: { ...body } })
const until = (state: string, { resetId }: View) =>
  vi.waitFor(
    async () => {
      const view = await rooms.reset.get(resetId)
      expect(view.state).toBe(state)
      return view
    },
    { timeout: 20_000, interval: 50 },
  )
const epoch = async () =>
  (await rooms.database.pool.query('select identity.epoch() + registry.epoch() as sum')).rows[0].sum as number

/** A client with the tokens of another, and no way to replace them. */
const signedIn = (client: Client) => client.request('GET', '/v1/me')

describe('a reset', () => {
  it('is void when it is answered, closes what is open, and is on the audit log', async () => {
    const home = await settle()
    const { closed, device } = await held(home)
    const view = await reset({ scope: 'all', quietly: false })
    expect(view).toMatchObject({ state: 'void', voidAt: expect.any(String) })
    await expect(signedIn(home.client)).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(rooms.gateway.isOnline(device.deviceId)).toBe(false)
    await closed
    const done = await until('done', view)
    expect(done).toMatchObject({ closedConnections: 1, waitingConnections: 0, removedSignIns: 2 })
    const { entries } = await rooms.guard.audit.page({ limit: 10 })
    const entry = entries.find(({ content }) => content?.act === 'reset.made_void')
    expect(entry?.content).toMatchObject({
      subject: { kind: 'reset', id: view.resetId },
      details: { scope: 'all', quietly: false },
    })
  })

  it('quietly lets apps and the officer go on by themselves', async () => {
    const home = await settle()
    await reset({ scope: 'all', quietly: true })
    await expect(signedIn(home.client)).resolves.toMatchObject({ kind: 'customer' })
    await expect(signedIn(officer)).resolves.toMatchObject({ kind: 'operator' })
    expect(await officer.request('GET', '/v1/resets')).toMatchObject({ resets: [{ scope: 'all' }] })
  })

  it('of devices leaves people alone, and of customers leaves devices and operators alone', async () => {
    const home = await settle()
    const { device } = await held(home)
    await reset({ scope: 'customers', quietly: false })
    await expect(signedIn(home.client)).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(signedIn(officer)).resolves.toBeTruthy()
    expect(rooms.gateway.isOnline(device.deviceId)).toBe(true)
    const other = await settle()
    await reset({ scope: 'devices', quietly: true })
    await vi.waitFor(() => expect(rooms.gateway.isOnline(device.deviceId)).toBe(false))
    const before = await epoch()
    await expect(signedIn(other.client)).resolves.toBeTruthy()
    expect(await epoch()).toBe(before)
  })

  it('of a household reaches its members, devices and invitations, and no other home', async () => {
    const [mine, other] = [await settle(), await settle()]
    const [here, there] = [await held(mine), await held(other)]
    const invite = async ({ client, householdId }: Home) =>
      await client.request<{ code: string }>('POST', `/v1/households/${householdId}/invitations`, {
        body: { role: 'adult' },
      })
    const [first, second] = [await invite(mine), await invite(other)]
    await reset({ scope: 'household', householdId: mine.householdId, quietly: false })
    await expect(signedIn(mine.client)).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(signedIn(other.client)).resolves.toBeTruthy()
    await here.closed
    expect(rooms.gateway.isOnline(there.device.deviceId)).toBe(true)
    const newcomer = await newCustomer(rooms)
    const accept = (code: string) => newcomer.request('POST', '/v1/invitations/accept', { body: { code } })
    await expect(accept(first.code)).rejects.toMatchObject({ code: 'code_refused' })
    await expect(accept(second.code)).resolves.toBeTruthy()
  })

  it('of a store reaches those whose data went into it', async () => {
    const [mine, other] = [await settle(), await settle()]
    const [here, there] = [await held(mine), await held(other)]
    ledger.set('copy', [here.tenureId])
    const counted = await plan({ scope: 'all', store: 'copy', quietly: false })
    expect(counted).toMatchObject({ accounts: 1, signIns: 1, devices: 1 })
    const view = await reset({ scope: 'all', store: 'copy', quietly: false })
    expect((await until('done', view)).removedSignIns).toBe(1)
    await expect(signedIn(mine.client)).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(signedIn(other.client)).resolves.toBeTruthy()
    expect(rooms.gateway.isOnline(there.device.deviceId)).toBe(true)
  })

  it('is refused when it does not say what to reset, and where there is nothing', async () => {
    const refused = async (body: ResetRequest) => {
      const before = await epoch()
      const code = await reset(body).then(
        () => 'done',
        (error) => error.code,
      )
      expect(await epoch()).toBe(before)
      return code
    }
    const householdId = crypto.randomUUID() as HouseholdId
    expect(await refused({ scope: 'household', quietly: true })).toBe('invalid_request')
    expect(await refused({ scope: 'all', householdId, quietly: true })).toBe('invalid_request')
    expect(await refused({ scope: 'household', householdId, quietly: true })).toBe('not_found')
    expect(await refused({ scope: 'household', householdId, store: 'copy', quietly: true })).toBe(
      'invalid_request',
    )
    expect(await refused({ scope: 'integrations', quietly: true })).toBe('invalid_request')
    expect(await refused({ scope: 'all', store: 'none', quietly: true })).toBe('not_found')
  })

  it('twice at once is two resets', async () => {
    const home = await settle()
    const views = await Promise.all([
      rooms.reset.begin({ scope: 'all', quietly: true }, crypto.randomUUID() as never),
      rooms.reset.begin({ scope: 'customers', quietly: false }, crypto.randomUUID() as never),
    ])
    await expect(signedIn(home.client)).rejects.toMatchObject({ code: 'unauthenticated' })
    for (const { resetId } of views) await until('done', { resetId } as View)
    expect(await rooms.reset.list()).toHaveLength(2)
  })
})

describe('a dry run', () => {
  it('changes nothing, and its counts are what then happens', async () => {
    const home = await settle()
    const { closed } = await held(home)
    await home.client.request('POST', `/v1/households/${home.householdId}/invitations`, {
      body: { role: 'adult' },
    })
    const rows = async () =>
      (
        await rooms.database.pool.query(`select
          (select count(*) from guard.reset) + (select count(*) from registry.reset_household)
          + (select count(*) from identity.reset_account) + identity.epoch() + registry.epoch() as rows,
          (select count(*) from guard.audit where sealed is not null) as acts`)
      ).rows[0]
    const before = await rows()
    const counts = await plan({ scope: 'all', quietly: false })
    await plan({ scope: 'household', householdId: home.householdId, quietly: false })
    expect(await rows()).toEqual(before)
    await expect(signedIn(home.client)).resolves.toBeTruthy()
    expect(counts).toMatchObject({
      accounts: 2,
      signIns: 2,
      invitations: 1,
      devices: 1,
      deviceConnections: 1,
    })
    const done = await until('done', await reset({ scope: 'all', quietly: false }))
    await closed
    expect(done.removedSignIns).toBe(counts.signIns)
    expect(done.closedConnections).toBe(counts.deviceConnections)
    const left = await rooms.reset.plan({ scope: 'all', quietly: false })
    expect(left).toMatchObject({ accounts: 2, signIns: 0, invitations: 0, deviceConnections: 0 })
  })
})

describe('a reset is asked for', () => {
  it('by a security officer only', async () => {
    const before = await epoch()
    for (const role of ['engineer', 'analyst', 'support'] as const) {
      const other = await operatorWith(rooms, [role])
      const body = { scope: 'all', quietly: true }
      await expect(other.request('POST', '/v1/resets', { body })).rejects.toMatchObject({ code: 'not_found' })
      await expect(other.request('POST', '/v1/resets/plan', { body })).rejects.toMatchObject({
        code: 'not_found',
      })
    }
    expect(await epoch()).toBe(before)
  })
})
