import type { MqttClient } from 'mqtt'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import {
  type AccountId,
  AppError,
  type HouseholdId,
  type KeyId,
  Personal,
  silentLog,
  systemClock,
} from '../../src/core/index.ts'
import { createPrivacy } from '../../src/privacy/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import {
  connectDevice,
  newCustomer,
  newOperator,
  provisionDevice,
  type Rooms,
  startRooms,
} from '../support/start-rooms.ts'

/** How long ago everybody signed in. */
const signedIn = { agoMs: 0 }

interface Person {
  client: Client
  accountId: AccountId
}
interface Settled extends Person {
  householdId: HouseholdId
  lock: ProvisionedDevice
}

let rooms: Rooms
const sockets: MqttClient[] = []
beforeAll(async () => {
  rooms = await startRooms({
    replace: ({ identity }) => ({
      identity: {
        ...identity,
        authenticate: async (request) => ({
          ...(await identity.authenticate(request)),
          signedInAtMs: Date.now() - signedIn.agoMs,
        }),
      },
    }),
  })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) await socket.endAsync(true)
})
afterAll(() => rooms.close())

async function person(): Promise<Person> {
  const client = await newCustomer(rooms)
  const { accountId } = await client.request<{ accountId: AccountId }>('GET', '/v1/me')
  return { client, accountId }
}

/** Somebody with a home, a lock in it, and something in the lock's history. */
async function settled(): Promise<Settled> {
  const { client, accountId } = await person()
  const body = { name: 'Haus am Waldrand' }
  const { householdId } = await client.request<{ householdId: HouseholdId }>('POST', '/v1/households', {
    body,
  })
  const lock = await provisionDevice(rooms, 'hearth-lock')
  const socket = await connectDevice(rooms, lock)
  sockets.push(socket)
  const claim = { code: lock.claimCode.reveal(), nickname: 'Front door' }
  await client.request('POST', `/v1/households/${householdId}/claims`, { body: claim })
  await socket.publishAsync(`hearth/1/${lock.deviceId}/attributes`, '{"DoorLock.LockState":"Locked"}', {
    qos: 1,
  })
  return { client, accountId, householdId, lock }
}

async function join({ client, householdId }: Settled): Promise<Person> {
  const made = await client.request<{ code: string }>('POST', `/v1/households/${householdId}/invitations`, {
    body: { role: 'adult' },
  })
  const other = await person()
  await other.client.request('POST', '/v1/invitations/accept', { body: { code: made.code } })
  return other
}

const erase = ({ client }: Person, households: object[] = []) =>
  client.request('DELETE', '/v1/me', { body: { households } })
const ends = ({ householdId }: Settled) => [{ householdId, wish: 'end' }]
const goes = ({ householdId }: Settled, to: AccountId) => [{ householdId, wish: 'hand-over', to }]
const query = async <T extends object>(text: string, values: unknown[] = []) =>
  (await rooms.database.pool.query<T>(text, values)).rows

/** Every table and column of a type that can hold an id, in which this one stands. */
async function whereItStands(id: string): Promise<string[]> {
  const columns = await query<{ place: string; statement: string }>(`
    select table_schema || '.' || table_name || '.' || column_name as place,
      format('select 1 from %I.%I where %I::text like $1 limit 1', table_schema, table_name, column_name) as statement
    from information_schema.columns
    where table_schema not in ('pg_catalog', 'information_schema') and data_type in ('uuid', 'text', 'jsonb', 'ARRAY')`)
  const found: string[] = []
  for (const { place, statement } of columns) {
    if ((await query(statement, [`%${id}%`])).length > 0) found.push(place)
  }
  return found.sort()
}

describe('an erased account', () => {
  it('is gone: its session, its sign-in, its name, and every row that named it', async () => {
    const ada = await settled()
    await erase(ada, ends(ada))
    await expect(ada.client.request('GET', '/v1/me')).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(rooms.vault.read(ada.accountId)).rejects.toMatchObject({ code: 'not_found' })
    // A destroyed key keeps its id, and requests under way find out; neither says who it was.
    expect(await whereItStands(ada.accountId)).toEqual([
      'keys.wrapped_key.subject',
      'registry.erased_account.account_id',
    ])
  })

  it('takes the household that it owned alone with it: the device is nobody’s, its history does not open', async () => {
    const ada = await settled()
    await erase(ada, ends(ada))
    expect(await rooms.registry.currentTenure(ada.lock.deviceId)).toBeUndefined()
    const kept = await query(
      `select 1 from home.timeline where tenure_id in (select tenure_id from registry.tenure where household_id = $1)
       union all select 1 from registry.household_log where household_id = $1
       union all select 1 from registry.household where household_id = $1 and octet_length(name) > 0`,
      [ada.householdId],
    )
    expect(kept).toEqual([])
  })

  it('takes the histories along that the household kept of devices which it has given away', async () => {
    const ada = await settled()
    await rooms.registry.release({ accountId: ada.accountId, deviceId: ada.lock.deviceId, history: 'kept' })
    const [past] = await rooms.registry.pastDevices(ada.accountId, ada.householdId)
    await erase(ada, ends(ada))
    await expect(rooms.keys.open(past?.keyId as KeyId)).rejects.toMatchObject({ code: 'not_found' })
    const left = await query(
      `select 1 from home.timeline where tenure_id = $1
       union all select 1 from registry.tenure where tenure_id = $1 and history = 'kept'`,
      [past?.tenureId],
    )
    expect(left).toEqual([])
  })

  it('is not opened by rows from before, with the keys that are there now', async () => {
    const ada = await settled()
    const subjects = `select $1::text union select $2::text union
      select tenure_id::text from registry.tenure where household_id = $2::uuid`
    const both = [ada.accountId, ada.householdId]
    const keys = await query<{ id: KeyId; wrapped: Buffer }>(
      `select id, wrapped from keys.wrapped_key where subject in (${subjects})`,
      both,
    )
    expect(keys).toHaveLength(3)
    const [before] = await query<{ row: object; name: Buffer }>(
      'select to_jsonb(h) as row, name from registry.household h where household_id = $1',
      [ada.householdId],
    )
    const persons = await query('select * from vault.person where account_id = $1', [ada.accountId])
    await erase(ada, ends(ada))

    const now = await query<{ wrapped: Buffer | null }>(
      `select wrapped from keys.wrapped_key where subject in (${subjects})`,
      both,
    )
    expect(now.map(({ wrapped }) => wrapped)).toEqual([null, null, null])
    for (const { id } of keys) await expect(rooms.keys.open(id)).rejects.toMatchObject({ code: 'not_found' })
    // Sealed bytes of an old backup, put back where they stood: nothing opens them any more.
    await query(
      `insert into vault.person select * from jsonb_populate_record(null::vault.person, to_jsonb($1::json))`,
      [JSON.stringify(asJson(persons[0] as object))],
    )
    await query('update registry.household set name = $1 where household_id = $2', [
      before?.name,
      ada.householdId,
    ])
    await query(`insert into registry.member values ($1, $2, 'owner')`, [ada.householdId, ada.accountId])
    await expect(rooms.vault.read(ada.accountId)).rejects.toMatchObject({ code: 'not_found' })
    await expect(rooms.registry.household(ada.accountId, ada.householdId)).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  it('leaves a household to its other owner: devices stay, the log tells of a former member', async () => {
    const ada = await settled()
    const bob = await join(ada)
    await ada.client.request('POST', `/v1/households/${ada.householdId}/hand-over`, {
      body: { accountId: bob.accountId, remains: 'owner' },
    })
    await erase(ada)
    const devices = await bob.client.request('GET', `/v1/households/${ada.householdId}/devices`)
    expect(devices).toMatchObject({ devices: [{ deviceId: ada.lock.deviceId, nickname: 'Front door' }] })
    const { entries } = await bob.client.request<{
      entries: { kind: string; account?: object; by?: object }[]
    }>('GET', `/v1/households/${ada.householdId}/log`)
    expect(entries[0]).toMatchObject({ kind: 'account_erased', account: { accountId: ada.accountId } })
    expect(entries[0]?.account).not.toHaveProperty('name')
    expect(entries.at(-1)).toMatchObject({ kind: 'founded', by: { accountId: ada.accountId } })
    expect(entries.at(-1)?.by).not.toHaveProperty('name')
  })

  it('hands a household over to an adult, who owns it from then on', async () => {
    const ada = await settled()
    const bob = await join(ada)
    await erase(ada, goes(ada, bob.accountId))
    expect(await bob.client.request('GET', `/v1/households/${ada.householdId}`)).toMatchObject({
      role: 'owner',
    })
  })

  it('ends its live streams at once', async () => {
    const ada = await settled()
    const ready = vi.fn()
    const watching = ada.client.live(ada.householdId, () => {}, AbortSignal.timeout(20_000), {
      onReady: ready,
    })
    watching.catch(() => {})
    await vi.waitFor(() => expect(ready).toHaveBeenCalled(), 5_000)
    await erase(ada, ends(ada))
    await expect(watching).rejects.toBeDefined()
  })

  it('gets no letter any more, nor does its address', async () => {
    const ada = await settled()
    const bob = await join(ada)
    await erase(bob)
    const { email } = await rooms.vault.read(ada.accountId)
    await rooms.database.transaction((tx) =>
      rooms.mail.enqueue(tx, { to: email, letter: { kind: 'address_changed' } }),
    )
    const count = async () =>
      (await query<{ n: number }>('select count(*)::int as n from mail.outbox'))[0]?.n ?? 0
    const before = await count()
    await erase(ada, ends(ada))
    expect(await count()).toBeLessThan(before)
    const letters = await Promise.all(
      (await rooms.mail.waiting()).map(({ letterId }) =>
        rooms.mail.show(letterId, ada.accountId).catch(() => 'gone'),
      ),
    )
    expect(letters).not.toContain('gone')
    expect(
      letters.some((letter) => typeof letter === 'object' && letter.to.reveal() === email.reveal()),
    ).toBe(false)
  })
})

describe('an erasure', () => {
  it('says for each household that is owned alone what becomes of it; else nothing is erased', async () => {
    const ada = await settled()
    const bob = await join(ada)
    const stranger = await person()
    for (const wishes of [[], goes(ada, stranger.accountId), goes(ada, ada.accountId)]) {
      await expect(erase(ada, wishes)).rejects.toMatchObject({ code: 'conflict' })
    }
    await expect(erase(bob, ends(ada))).rejects.toMatchObject({ code: 'conflict' })
    await expect(erase(stranger, ends(ada))).rejects.toMatchObject({ code: 'conflict' })
    expect(await ada.client.request('GET', `/v1/devices/${ada.lock.deviceId}`)).toMatchObject({
      nickname: 'Front door',
    })
    expect(await bob.client.request('GET', '/v1/me')).toMatchObject({ name: 'Ada' })
  })

  it('does not hand a household over to a guest', async () => {
    const ada = await settled()
    const bob = await join(ada)
    const guest = { until: new Date(Date.now() + 3_600_000).toISOString(), devices: [] }
    await ada.client.request('PUT', `/v1/households/${ada.householdId}/members/${bob.accountId}`, {
      body: { role: 'guest', guest },
    })
    await expect(erase(ada, goes(ada, bob.accountId))).rejects.toMatchObject({ code: 'conflict' })
  })

  it('is all or nothing: when the last step fails, everything is as it was, and opens', async () => {
    const ada = await settled()
    const vault = {
      ...rooms.vault,
      erase: () => Promise.reject(new AppError('unavailable')),
    }
    const privacy = createPrivacy({ ...rooms, vault, clock: systemClock, log: silentLog })
    const who = { accountId: ada.accountId, sessionId: 'any' }
    await expect(privacy.erase(who, [{ householdId: ada.householdId, wish: 'end' }])).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(await ada.client.request('GET', `/v1/devices/${ada.lock.deviceId}`)).toMatchObject({
      nickname: 'Front door',
    })
  })

  it('needs a fresh sign-in', async () => {
    const ada = await person()
    signedIn.agoMs = 11 * 60_000
    await expect(erase(ada)).rejects.toMatchObject({ code: 'fresh_sign_in_needed' })
    signedIn.agoMs = 0
    await erase(ada)
  })

  it('is refused to a session that began after a recovery which nobody has confirmed', async () => {
    const ada = await person()
    const identity = { ...rooms.identity, isHeldBack: async () => true }
    const privacy = createPrivacy({ ...rooms, identity, clock: systemClock, log: silentLog })
    await expect(privacy.erase({ accountId: ada.accountId, sessionId: 'any' }, [])).rejects.toMatchObject({
      code: 'held_back',
    })
  })

  it('that is asked for twice at once happens once', async () => {
    const ada = await settled()
    const outcomes = await Promise.allSettled([erase(ada, ends(ada)), erase(ada, ends(ada))])
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('leaves no household behind that a request under way would still make or enter', async () => {
    const ada = await settled()
    const bob = await join(ada)
    const { code } = await rooms.registry.invite({ ...ada, as: { role: 'adult' }, hours: 1 })
    await erase(bob)
    // As requests that were let in a moment before.
    await expect(
      rooms.registry.createHousehold(bob.accountId, { name: new Personal('Late') }),
    ).rejects.toMatchObject({
      code: 'not_found',
    })
    await expect(rooms.registry.acceptInvitation(bob.accountId, code)).rejects.toMatchObject({
      code: 'not_found',
    })
    expect(await rooms.registry.members(ada.accountId, ada.householdId)).toHaveLength(1)
  })

  it('is not for the last security officer', async () => {
    const operator = await newOperator(rooms)
    await expect(operator.request('DELETE', '/v1/me', { body: { households: [] } })).rejects.toMatchObject({
      code: 'conflict',
    })
  })
})

/** Bytes as PostgreSQL writes them in JSON. */
function asJson(row: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : value,
    ]),
  )
}
