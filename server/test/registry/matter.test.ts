import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { type ModelId, newId } from '../../src/core/index.ts'
import type { Model, ModelDefinition } from '../../src/registry/index.ts'
import { createMatterLibrary, type MatterLibrary } from '../../src/registry/matter-library.ts'
import { compileModel } from '../../src/registry/matter-model.ts'
import { parseModelDefinition } from '../../src/registry/model-definition.ts'
import { definition } from './world.ts'

let library: MatterLibrary
let cam: Model
let lock: Model
let bulb: Model
let plug: Model

const compile = (description: ModelDefinition) =>
  compileModel(library, newId<ModelId>(), parseModelDefinition(library, description))

beforeAll(async () => {
  library = await createMatterLibrary()()
  cam = compile(definition('hearth-cam'))
  lock = compile(definition('hearth-lock'))
  bulb = compile(definition('hearth-bulb'))
  plug = compile(definition('hearth-plug'))
})

const attributes = (model: Model, payload: unknown) => {
  const checked = model.checkAttributes(payload)
  return checked.ok ? 'ok' : checked.reason
}
const one = (model: Model, path: string, value: unknown) => attributes(model, { [path]: value })

describe('the device types', () => {
  it('bring their mandatory clusters, and the definition adds others', () => {
    expect(cam.clusters).toEqual(
      expect.arrayContaining(['CameraAvStreamManagement', 'WebRtcTransportProvider', 'ZoneManagement']),
    )
    expect(lock.clusters).toEqual(expect.arrayContaining(['Descriptor', 'Identify', 'DoorLock']))
    expect(bulb.clusters).toEqual(expect.arrayContaining(['OnOff', 'LevelControl', 'ColorControl', 'Groups']))
    expect(plug.clusters).toEqual(expect.arrayContaining(['OnOff', 'ElectricalPowerMeasurement']))
    expect(plug.clusters).not.toContain('DoorLock')
  })

  it('let the devices say what such devices say', () => {
    expect(
      attributes(cam, { 'OccupancySensing.Occupancy': 1, 'CameraAvStreamManagement.HdrModeEnabled': true }),
    ).toBe('ok')
    expect(cam.checkEvents({ 'ZoneManagement.ZoneTriggered': { Zone: 1, Reason: 'Motion' } })).toEqual({
      ok: true,
      paths: ['1/ZoneManagement.ZoneTriggered'],
    })
    expect(attributes(lock, { 'DoorLock.LockState': 'Locked', 'DoorLock.DoorState': 'DoorClosed' })).toBe(
      'ok',
    )
    expect(
      attributes(bulb, {
        'OnOff.OnOff': true,
        'LevelControl.CurrentLevel': 254,
        'ColorControl.ColorMode': 0,
      }),
    ).toBe('ok')
    expect(attributes(plug, { 'ElectricalPowerMeasurement.ActivePower': 61_000 })).toBe('ok')
  })

  it('have the global attributes and those that depend on a feature', () => {
    expect(attributes(lock, { 'DoorLock.ClusterRevision': 9, 'DoorLock.FeatureMap': 33 })).toBe('ok')
    expect(one(lock, 'DoorLock.AttributeList', [0, 1, 65_533])).toBe('ok')
    expect(one(bulb, 'OnOff.OnTime', 10)).toBe('ok')
  })

  it('have nothing that Matter has withdrawn', () => {
    expect(one(lock, 'DoorLock.SecurityLevel', 0)).toMatch(/no attribute of that name/)
    expect(lock.checkCommand('DoorLock.Toggle', {}).ok).toBe(false)
  })
})

describe('paths', () => {
  it('mean endpoint 1 where none is named', () => {
    expect(
      bulb.checkAttributes({ 'OnOff.OnOff': true, '2/OnOff.OnOff': false, '16/OnOff.OnOff': false }),
    ).toEqual({
      ok: true,
      paths: ['1/OnOff.OnOff', '2/OnOff.OnOff', '16/OnOff.OnOff'],
    })
  })

  it('are refused with what there is instead', () => {
    expect(one(plug, 'DoorLock.LockState', 1)).toMatch(/cluster of this model: Descriptor, Identify/)
    expect(one(plug, 'OnOff.Brightness', 1)).toMatch(/OnOff\.Brightness: .* no attribute .*OnOff/)
    expect(one(plug, 'OnOff', true)).toMatch(/expected Cluster\.Name/)
    for (const path of [
      '17/OnOff.OnOff',
      '01/OnOff.OnOff',
      '-1/OnOff.OnOff',
      '/OnOff.OnOff',
      '1e1/OnOff.OnOff',
      'x/OnOff.OnOff',
    ]) {
      expect(one(plug, path, true)).toMatch(/expected an endpoint number 0\.\.16/)
    }
    for (const path of [
      '',
      '.',
      '1/',
      '1/.',
      '__proto__',
      'constructor',
      'OnOff.constructor',
      '1/2/OnOff.OnOff',
    ]) {
      expect(one(plug, path, true)).not.toBe('ok')
    }
    expect(attributes(plug, JSON.parse('{"__proto__":{"OnOff.OnOff":true}}'))).not.toBe('ok')
  })

  it('may not name one attribute twice', () => {
    expect(attributes(plug, { 'OnOff.OnOff': true, '1/OnOff.OnOff': false })).toMatch(/twice/)
  })
})

describe('values', () => {
  it.each<[string, () => Model, string, unknown[], unknown[], RegExp]>([
    ['bool', () => plug, 'OnOff.OnOff', [true, false], [1, 0, 'true', null, [], {}], /true or false/],
    [
      'nullable uint8',
      () => bulb,
      'LevelControl.CurrentLevel',
      [0, 254, null],
      [255, -1, 1.5, '10', true, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53],
      /an integer 0\.\.254, or null$/,
    ],
    [
      'constrained uint16',
      () => bulb,
      'ColorControl.CurrentX',
      [0, 65_279],
      [65_280, null],
      /integer 0\.\.65279/,
    ],
    [
      'int64',
      () => plug,
      'ElectricalPowerMeasurement.ActivePower',
      [-5, 0, Number.MAX_SAFE_INTEGER, '4611686018427387904', '-4611686018427387904', '12', null],
      ['4611686018427387905', 2 ** 53, '1.5', '0x10', '', ' 1', '+1', '01', '1'.repeat(10_000), {}],
      /decimal string/,
    ],
    [
      'enum',
      () => lock,
      'DoorLock.LockState',
      ['Locked', 'NotFullyLocked', 0, 3, null],
      ['locked', 4, -1, 'constructor', '', true],
      /one of NotFullyLocked \(0\), Locked \(1\), Unlocked \(2\), Unlatched \(3\), or null/,
    ],
    [
      'bitmap',
      () => cam,
      'OccupancySensing.Occupancy',
      [0, 1],
      [2, 3, -1, 256, 2 ** 32, '1', null],
      /bits Occupied \(1\)/,
    ],
    [
      'string',
      () => lock,
      'DoorLock.Language',
      ['', 'eng', 'äa'],
      ['engl', 'ää', '💡', 1, null],
      /0\.\.3 bytes/,
    ],
    [
      'octstr',
      () => lock,
      'DoorLock.AliroReaderGroupIdentifier',
      [Buffer.alloc(16).toString('base64'), null],
      [
        Buffer.alloc(15).toString('base64'),
        Buffer.alloc(16).toString('hex'),
        'AAAA====',
        'A'.repeat(100_000),
      ],
      /base64 of 16 bytes/,
    ],
    [
      'list with an entry constraint',
      () => lock,
      'DoorLock.AliroExpeditedTransactionSupportedProtocolVersions',
      [[], [Buffer.alloc(2).toString('base64')]],
      [[Buffer.alloc(3).toString('base64')], Array(17).fill('AAA='), {}, 'AAA=', [null]],
      /list of 0\.\.16 entries|base64 of 2 bytes/,
    ],
    [
      'struct',
      () => cam,
      'OccupancySensing.HoldTimeLimits',
      [{ HoldTimeMin: 1, HoldTimeMax: 10, HoldTimeDefault: 5 }],
      [
        {},
        { HoldTimeMin: 1, HoldTimeMax: 10 },
        { HoldTimeMin: 1, HoldTimeMax: 10, HoldTimeDefault: 5, More: 1 },
        [],
        null,
      ],
      /fields|mandatory field/,
    ],
    [
      'struct field',
      () => cam,
      'OccupancySensing.HoldTimeLimits',
      [],
      [{ HoldTimeMin: 'x' }],
      /HoldTimeLimits\.HoldTimeMin: expected an integer/,
    ],
  ])('%s', (_kind, model, path, accepted, refused, reason) => {
    for (const value of accepted) expect([value, one(model(), path, value)]).toEqual([value, 'ok'])
    for (const value of refused) expect(one(model(), path, value)).toMatch(reason)
    for (const value of refused) expect(one(model(), path, value)).toContain(path)
  })
})

describe('payloads', () => {
  it('are objects with one to 64 members', () => {
    for (const payload of [null, undefined, [], 'x', 1, true])
      expect(attributes(plug, payload)).toMatch(/JSON object/)
    expect(attributes(plug, {})).toMatch(/at least one attribute/)
    expect(attributes(plug, { $id: 'a' })).toMatch(/at least one attribute/)
    const names = [...(library.cluster('DoorLock')?.attributes.keys() ?? [])].filter((name) =>
      /^Enable/.test(name),
    )
    const many = Object.fromEntries(
      Array.from({ length: 17 }, (_, endpoint) =>
        names.map((name) => [`${endpoint}/DoorLock.${name}`, true]),
      ).flat(),
    )
    const firsts = (count: number) => Object.fromEntries(Object.entries(many).slice(0, count))
    expect(attributes(lock, firsts(64))).toBe('ok')
    expect(attributes(lock, firsts(65))).toMatch(/at most 64 members/)
  })

  it('may bear the device’s own message id and time, and no other $ member', () => {
    const base = { 'OnOff.OnOff': true }
    expect(plug.checkAttributes({ ...base, $id: 'abc-1', $at: '2026-03-01T12:00:00Z' })).toMatchObject({
      messageId: 'abc-1',
    })
    for (const $id of ['', 'a b', 'ä', 'x'.repeat(65), 5, null])
      expect(attributes(plug, { ...base, $id })).toMatch(/^\$id: /)
    for (const $at of ['yesterday', '2026-03-01', '2026-13-01T12:00:00Z', 5, null]) {
      expect(attributes(plug, { ...base, $at })).toMatch(/^\$at: /)
    }
    expect(attributes(plug, { ...base, $other: 1 })).toMatch(/\$id and \$at only/)
  })

  it('are refused without any of their values in the reason', () => {
    const secret = 'hunter2-SECRET'
    fc.assert(
      fc.property(
        fc.constantFrom(
          ...([
            'OnOff.OnOff',
            'OnOff.StartUpOnOff',
            'BasicInformation.NodeLabel',
            'ElectricalPowerMeasurement.Accuracy',
          ] as const),
        ),
        fc.anything({ values: [fc.constant(secret), fc.integer(), fc.constant(null)] }),
        (path, value) => {
          const checked = plug.checkAttributes({ [path]: [value, secret] })
          expect(JSON.stringify(checked)).not.toContain(secret)
        },
      ),
    )
    expect(one(plug, 'my wifi password', 1)).not.toContain('wifi')
    expect(attributes(plug, { 'ElectricalPowerMeasurement.Accuracy': [{ 'my wifi': 1 }] })).not.toContain(
      'wifi',
    )
    expect(attributes(plug, { 'OnOff.OnOff': true, $id: `${secret} ` })).not.toContain(secret)
  })

  it('of any shape never make the check throw, and reasons stay short', () => {
    const paths = fc.oneof(
      fc.string(),
      fc.constantFrom('OnOff.OnOff', '2/OnOff.OnOff', 'ElectricalPowerMeasurement.Accuracy', '$id', '$at'),
    )
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.dictionary(paths, fc.anything())), (payload) => {
        for (const checked of [
          plug.checkAttributes(payload),
          lock.checkEvents(payload),
          plug.checkResult(payload),
        ]) {
          if (!checked.ok) expect(checked.reason.length).toBeLessThanOrEqual(501)
        }
        expect(typeof lock.checkCommand('DoorLock.LockDoor', payload).ok).toBe('boolean')
      }),
      { numRuns: 500 },
    )
  })
})

describe('events', () => {
  const operation = { LockOperationType: 'Lock', OperationSource: 'Manual', UserIndex: null }

  it('need their mandatory fields; those of Matter’s own network may be left out', () => {
    expect(lock.checkEvents({ 'DoorLock.LockOperation': operation }).ok).toBe(true)
    expect(
      lock.checkEvents({ 'DoorLock.LockOperation': { ...operation, FabricIndex: null, SourceNode: null } })
        .ok,
    ).toBe(true)
    const { UserIndex: _left, ...partial } = operation
    const checked = lock.checkEvents({ 'DoorLock.LockOperation': partial })
    expect(checked).toEqual({
      ok: false,
      reason: 'DoorLock.LockOperation: the mandatory field UserIndex is missing',
    })
  })

  it('are refused with the field that does not fit', () => {
    const checked = lock.checkEvents({
      '2/DoorLock.LockOperation': { ...operation, LockOperationType: 'Kick' },
    })
    expect(checked).toMatchObject({
      reason: expect.stringMatching(
        /^2\/DoorLock\.LockOperation\.LockOperationType: expected one of Lock \(0\)/,
      ),
    })
  })

  it('are no attributes, nor attributes events', () => {
    expect(lock.checkAttributes({ 'DoorLock.LockOperation': operation }).ok).toBe(false)
    expect(lock.checkEvents({ 'DoorLock.LockState': 1 }).ok).toBe(false)
  })
})

describe('normalising', () => {
  it('names enum integers and completes paths', () => {
    const payload = {
      'DoorLock.LockOperation': { LockOperationType: 0, OperationSource: 1, UserIndex: null },
      $id: 'x',
    }
    expect(lock.normaliseEvents(payload)).toEqual({
      '1/DoorLock.LockOperation': { LockOperationType: 'Lock', OperationSource: 'Manual', UserIndex: null },
    })
    expect(lock.normaliseAttributes({ 'DoorLock.LockState': 1, '2/DoorLock.LockState': null })).toEqual({
      '1/DoorLock.LockState': 'Locked',
      '2/DoorLock.LockState': null,
    })
  })
})

describe('commands', () => {
  it('carry the policy that stands closest', () => {
    expect(lock.checkCommand('DoorLock.LockDoor', {})).toEqual({
      ok: true,
      paths: ['1/DoorLock.LockDoor'],
      policy: { whenOffline: 'queue', expiresSeconds: 10 },
    })
    expect(lock.commandPolicy('DoorLock.UnlockDoor')).toEqual({ whenOffline: 'refuse', expiresSeconds: 5 })
    expect(lock.commandPolicy('Identify.Identify')).toEqual({ whenOffline: 'refuse', expiresSeconds: 10 })
    expect(bulb.commandPolicy('OnOff.On')).toEqual({ whenOffline: 'queue', expiresSeconds: 3600 })
    const bare = compile({
      ...definition('hearth-bulb'),
      commands: { 'OnOff.*': { whenOffline: 'queue', expiresSeconds: 7 } },
    })
    expect(bare.commandPolicy('OnOff.Toggle')).toEqual({ whenOffline: 'queue', expiresSeconds: 7 })
    expect(bare.commandPolicy('LevelControl.Stop').whenOffline).toBe('refuse')
  })

  it('to a lock never wait longer than ten seconds', () => {
    for (const [name] of library.cluster('DoorLock')?.commands ?? []) {
      expect(lock.commandPolicy(`DoorLock.${name}`).expiresSeconds).toBeLessThanOrEqual(10)
    }
  })

  it('are refused when unknown, when their arguments do not fit, and on an endpoint that is none', () => {
    const move = { Level: 128, TransitionTime: null, OptionsMask: 0, OptionsOverride: 0 }
    expect(bulb.checkCommand('LevelControl.MoveToLevel', move, 2)).toMatchObject({
      paths: ['2/LevelControl.MoveToLevel'],
    })
    expect(bulb.checkCommand('LevelControl.MoveToLevel', { ...move, Level: 255 })).toMatchObject({
      reason: 'LevelControl.MoveToLevel.Level: expected an integer 0..254',
    })
    expect(bulb.checkCommand('LevelControl.MoveToLevel', { Level: 1 }).ok).toBe(false)
    expect(bulb.checkCommand('OnOff.On', { Surprise: 1 }).ok).toBe(false)
    expect(bulb.checkCommand('OnOff.On', [])).toMatchObject({ ok: false })
    expect(bulb.checkCommand('OnOff.Explode', {})).toMatchObject({ reason: expect.stringMatching(/Toggle/) })
    expect(bulb.checkCommand('DoorLock.LockDoor', {}).ok).toBe(false)
    // A response is no command.
    expect(lock.checkCommand('DoorLock.GetUserResponse', { UserIndex: 1 }).ok).toBe(false)
    for (const endpoint of [-1, 17, 1.5, Number.NaN])
      expect(bulb.checkCommand('OnOff.On', {}, endpoint).ok).toBe(false)
  })
})

describe('results', () => {
  const id = '3f0a6f1e-5d1c-4a55-9d2e-0c2b6c1f2a3b'

  it('name a command and a Matter status', () => {
    expect(plug.checkResult({ id, status: 'SUCCESS' })).toEqual({
      ok: true,
      paths: [],
      commandId: id,
      status: 'SUCCESS',
    })
    expect(plug.checkResult({ id, status: 'INVALID_IN_STATE', response: {} }).ok).toBe(true)
    for (const payload of [
      {},
      { id },
      { id, status: 'Success' },
      { id, status: 0 },
      { id: 'x', status: 'SUCCESS' },
      { id, status: 'SUCCESS', more: 1 },
      { id, status: 'SUCCESS', response: [] },
    ]) {
      expect(plug.checkResult(payload).ok).toBe(false)
    }
  })

  it('are bounded in depth and size', () => {
    let deep: object = {}
    for (let level = 0; level < 5000; level++) deep = { deep }
    expect(plug.checkResult({ id, status: 'SUCCESS', response: deep }).ok).toBe(false)
    expect(plug.checkResult({ id, status: 'SUCCESS', response: { list: Array(600).fill(1) } }).ok).toBe(false)
    expect(plug.checkResult({ id, status: 'SUCCESS', response: { list: Array(400).fill(1) } }).ok).toBe(true)
  })

  it('bear the response that Matter defines for the command', () => {
    expect(
      lock.checkResponse('DoorLock.SetCredential', {
        Status: 'Success',
        UserIndex: 1,
        NextCredentialIndex: null,
      }).ok,
    ).toBe(true)
    expect(lock.checkResponse('DoorLock.SetCredential', { Status: 'Perhaps' }).ok).toBe(false)
    expect(lock.checkResponse('DoorLock.LockDoor', undefined).ok).toBe(true)
    expect(lock.checkResponse('DoorLock.LockDoor', { Surprise: 1 }).ok).toBe(false)
  })
})

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
