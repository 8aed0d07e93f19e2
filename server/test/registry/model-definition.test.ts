import { describe, expect, it } from 'vitest'
import { parseModelDefinition } from '../../src/registry/model-definition.ts'
import { compileShippedModels } from './shipped-models.ts'
import { definition } from './world.ts'

const { library, compile } = await compileShippedModels()

describe('model definitions', () => {
  const good = () => definition('hearth-plug')
  const invalid = (change: object) => {
    try {
      parseModelDefinition(library, { ...good(), ...change })
      return 'accepted'
    } catch (error) {
      return (error as Error).message
    }
  }

  it.each<[object, RegExp]>([
    [{ name: 'Hearth Plug' }, /^name: /],
    [{ name: 'x' }, /^name: /],
    [{ title: '' }, /^title: /],
    [{ vendor: 'a\nb' }, /^vendor: /],
    [{ deviceType: 'Toaster' }, /^deviceType: /],
    [{ deviceType: 'constructor' }, /^deviceType: /],
    [{ deviceType: '266' }, /^deviceType: /],
    [{ clusters: 'OnOff' }, /^clusters: /],
    [{ clusters: ['OnOff', 'Teleport'] }, /^clusters\[1\]: /],
    [{ clusters: ['ModeBase'] }, /^clusters\[0\]: /],
    [{ clusters: Array(41).fill('OnOff') }, /^clusters: /],
    [{ claimPolicy: 'anything' }, /^claimPolicy: /],
    [{ endpoints: 255 }, /^endpoints: /],
    [{ firmware: 1 }, /^firmware: /],
    [{ surprise: 1 }, /^There is no member surprise/],
    [{ commands: [] }, /^commands: /],
    [
      { commands: { 'DoorLock.LockDoor': { whenOffline: 'queue', expiresSeconds: 1 } } },
      /^commands DoorLock\.LockDoor: /,
    ],
    [{ commands: { 'OnOff.On': { whenOffline: 'later', expiresSeconds: 1 } } }, /whenOffline/],
    [{ commands: { 'OnOff.On': { whenOffline: 'queue', expiresSeconds: 0 } } }, /expiresSeconds/],
    [{ commands: { 'OnOff.On': { whenOffline: 'queue', expiresSeconds: 604_801 } } }, /expiresSeconds/],
    [{ commands: { 'OnOff.On': { whenOffline: 'queue', expiresSeconds: 1, x: 1 } } }, /nothing else/],
  ])('%j is refused', (change, reason) => {
    expect(invalid(change)).toMatch(reason)
  })

  it('may use every device type and cluster that Matter has', async () => {
    const { Matter } = await import('@matter/model')
    for (const type of Matter.deviceTypes) {
      if (type.id === undefined) continue
      const model = compile({ ...good(), deviceType: type.name, clusters: [], commands: {} })
      expect(model.clusters.length).toBeGreaterThan(0)
    }
    for (const cluster of Matter.clusters) {
      expect(library.cluster(cluster.name) === undefined).toBe(cluster.id === undefined)
    }
  }, 90_000)
})
