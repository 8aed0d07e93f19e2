import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ModelId, newId } from '../../src/core/index.ts'
import { createWorld, definition, refusal, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

describe('the schema registry', () => {
  it('keeps models beyond a restart', async () => {
    for (const name of ['hearth-cam', 'hearth-lock', 'hearth-bulb', 'hearth-plug']) {
      await world.registry.addModel(definition(name))
    }
    const later = await world.anotherRegistry()
    const names = (await later.models()).map((model) => model.name)
    expect(names).toEqual(['hearth-bulb', 'hearth-cam', 'hearth-lock', 'hearth-plug'])
    const lock = await later.modelByName('hearth-lock')
    expect(lock?.checkAttributes({ 'DoorLock.LockState': 'Locked' }).ok).toBe(true)
    expect((await later.model(lock?.id as ModelId)).title).toBe('Hearth Lock')
  })

  it('takes the same definition again as the same model', async () => {
    const [first, again] = [
      await world.registry.addModel(definition('hearth-lock')),
      await world.registry.addModel(definition('hearth-lock')),
    ]
    expect(again.id).toBe(first.id)
  })

  it('takes one definition from many at once as one model', async () => {
    const draft = { ...definition('hearth-cam'), name: 'at-once' }
    const models = await Promise.all(Array.from({ length: 8 }, () => world.registry.addModel(draft)))
    expect(new Set(models.map((model) => model.id)).size).toBe(1)
  })

  it('lets a model change while it has no device, and under a new id', async () => {
    const first = await world.registry.addModel({ ...definition('hearth-bulb'), name: 'draft' })
    const changed = await world.registry.addModel({
      ...definition('hearth-bulb'),
      name: 'draft',
      title: 'Later',
    })
    expect(changed.id).not.toBe(first.id)
    expect((await world.registry.modelByName('draft'))?.title).toBe('Later')
  })

  it('refuses to change a model that has devices', async () => {
    const { id } = await world.registry.addModel({ ...definition('hearth-bulb'), name: 'shipped' })
    await world.registry.provision({ modelId: id, count: 1 })
    const changed = { ...definition('hearth-bulb'), name: 'shipped', clusters: ['DoorLock'] }
    expect(await refusal(world.registry.addModel(changed))).toBe('conflict')
    const model = await world.registry.modelByName('shipped')
    expect(model?.id).toBe(id)
    expect(model?.clusters).not.toContain('DoorLock')
  })

  it('refuses what is no definition, and stores nothing of it', async () => {
    for (const bad of [null, [], 'x', { ...definition('hearth-bulb'), name: 'bad', deviceType: 'Toaster' }]) {
      expect(await refusal(world.registry.addModel(bad as never))).toBe('model_invalid')
    }
    expect(await world.registry.modelByName('bad')).toBeUndefined()
  })

  it('knows no model by an unknown id, and makes no device of it', async () => {
    expect(await refusal(world.registry.model(newId<ModelId>()))).toBe('not_found')
    expect(await refusal(world.registry.provision({ modelId: newId<ModelId>(), count: 1 }))).toBe('not_found')
  })
})
