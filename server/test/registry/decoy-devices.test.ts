import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DeviceId, silentLog } from '../../src/core/index.ts'
import { createCanaryMarks, DEVICES_A_DAY } from '../../src/guard/canary-marks.ts'
import { createKeys } from '../../src/keys/index.ts'
import {
  createRegistry,
  type DecoyIds,
  type ModelDefinition,
  type Registry,
} from '../../src/registry/index.ts'
import { createWorld, definition, refusal, type World } from './world.ts'

const DAY_MS = 86_400_000
let world: World
let registry: Registry
let decoys: DecoyIds
let which = 0
beforeAll(async () => {
  world = await createWorld()
  const { database, provider, time } = world
  const clock = { nowMs: () => time.nowMs }
  const keys = createKeys({ provider, database, clock, log: silentLog })
  await keys.start()
  const marks = createCanaryMarks({ keys })
  decoys = {
    newId: () => marks.deviceId({ store: 'database', atMs: time.nowMs }, which++ % DEVICES_A_DAY),
    isOne: (id) => marks.recognise(id) !== undefined,
    since: (fromMs) => marks.deviceIds('database', { fromMs, toMs: time.nowMs }),
  }
  registry = createRegistry({ database, keys, clock, log: silentLog, isOnline: () => true, decoys })
  await registry.start()
})
afterAll(async () => {
  await registry.close()
  await world.close()
})

async function rows() {
  const { rows: found } = await world.database.pool.query<{
    device_id: DeviceId
    shape: string
    place: number
  }>(`
    select device_id, row_number() over (order by ctid)::int as place,
      concat_ws(' ', model_id, length(public_key), substring(public_key for 12), length(claim_code_digest),
        length(password_digest), made_on, disabled, held_before, claim_code_fresh, length(reset), length(next_public_key),
        rotation_due, rotation_epoch) as shape
    from registry.device order by ctid`)
  return found
}

const named = (name: string): ModelDefinition => ({ ...definition('hearth-bulb'), name })
/** Whatever they were given, exactly. */
const count = () => registry.resets.count({ devices: true, codes: false, listed: false })

describe('among devices that are provisioned', () => {
  it('stands one that nobody makes, at any place, alike in all that is not random, also over days', async () => {
    const { id } = await registry.addModel(named('decoyed'))
    const made = new Set<DeviceId>()
    const places: number[] = []
    for (let batch = 0; batch < 60; batch++) {
      const before = (await rows()).length
      const given = await registry.provision({ modelId: id, count: 3 }, { withPassword: batch % 2 === 0 })
      expect(given).toHaveLength(3)
      for (const { deviceId } of given) made.add(deviceId)
      const added = (await rows()).slice(before)
      expect(added).toHaveLength(4)
      // One batch, one shape.
      expect(new Set(added.map(({ shape }) => shape)).size).toBe(1)
      places.push(added.findIndex(({ device_id }) => !made.has(device_id)))
      if (batch % DEVICES_A_DAY === DEVICES_A_DAY - 1) world.time.nowMs += DAY_MS
    }
    expect([...made].some(decoys.isOne)).toBe(false)
    const planted = (await rows()).filter(({ device_id }) => !made.has(device_id))
    expect(planted).toHaveLength(60)
    expect(planted.every(({ device_id }) => decoys.isOne(device_id))).toBe(true)
    // Each of the four places: that one of them is never taken happens once in eight million runs.
    expect(new Set(places)).toEqual(new Set([0, 1, 2, 3]))
  })

  it('it counts nowhere: neither in a reset\u2019s numbers nor among devices with a password, nor as a model that fails', async () => {
    const all = await rows()
    const real = all.filter(({ device_id }) => !decoys.isOne(device_id))
    expect(all.length - real.length).toBeGreaterThan(50)
    expect((await count()).devices).toBe(real.length)
    const listed = await registry.resets.keepingPasswords({ limit: 1_000 })
    expect(listed.length).toBe((await count()).keepingPasswords)
    expect(listed.some(decoys.isOne)).toBe(false)
    const ids = all.map(({ device_id }) => device_id)
    expect([...(await registry.deviceModels(ids)).keys()].sort()).toEqual(
      real.map(({ device_id }) => device_id).sort(),
    )
  })

  it('nobody comes in as it', async () => {
    const [decoy] = (await rows()).filter(({ device_id }) => decoys.isOne(device_id))
    const { device_id } = decoy as { device_id: DeviceId }
    expect(await refusal(registry.verifyDevicePassword(device_id, ''))).toBe('unauthenticated')
    expect(await refusal(registry.verifyDeviceToken(device_id, 'a.b.c'))).toBe('unauthenticated')
  })

  it('there are at most so many for a day, and no batch fails for it', async () => {
    const { id } = await registry.addModel(named('many'))
    world.time.nowMs += DAY_MS
    const before = (await rows()).length
    for (let batch = 0; batch < DEVICES_A_DAY + 5; batch++) {
      expect(await registry.provision({ modelId: id, count: 1 })).toHaveLength(1)
    }
    expect((await rows()).length - before).toBe(2 * DEVICES_A_DAY + 5)
  })
})
