import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Model } from '../../src/registry/index.ts'
import { compileShippedModels } from './shipped-models.ts'

const { library, cam, lock, bulb, plug } = await compileShippedModels()

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
    // A claim code comes with a reset, and nothing else.
    const $claimCode = '0123456789ABCDEFGHJK'
    expect(attributes(plug, { ...base, $claimCode })).toMatch(/^\$claimCode comes with/)
    expect(attributes(plug, { ...base, $other: 1 })).toMatch(
      /there are \$id, \$at and, with a reset, \$claimCode only/,
    )
  })

  it('that tell of a reset bring a claim code of 20 to 32 characters, where the model demands it', () => {
    const reset = { 'BasicInformation.Leave': { FabricIndex: 1 }, $id: 'once' }
    const code = '0123456789abcdefghjk'
    for (const model of [plug, lock]) {
      const checked = model.checkEvents({ ...reset, $claimCode: code })
      expect(checked).toMatchObject({ ok: true, reset: true })
      expect('claimCode' in checked && checked.claimCode?.reveal()).toBe(code.toUpperCase())
      expect(JSON.stringify(checked)).not.toMatch(/0123456789/)
    }
    for (const $claimCode of [code.slice(1), code.repeat(2), `${code.slice(1)}u`, 5, null, {}]) {
      expect(plug.checkEvents({ ...reset, $claimCode })).toMatchObject({
        ok: false,
        reason: expect.stringMatching(/^\$claimCode: expected/),
      })
    }
    expect(plug.checkEvents(reset).ok).toBe(true)
    expect(lock.checkEvents(reset)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/\$claimCode/),
    })
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
