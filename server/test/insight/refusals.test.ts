import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Personal, Secret } from '../../src/core/index.ts'
import { parseDestination } from '../../src/insight/destinations/address.ts'
import { looksPersonal } from '../../src/insight/detectors.ts'
import { aggregate, coarse, type Observation } from '../../src/insight/observation.ts'
import { createWorld, LOCK, type World } from './support.ts'

describe('a copy that may not be made', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld({ maxDays: 30 })
  })
  afterAll(() => world.close())

  it.each([
    ['OnOff.OnOff', 'it is sensitive'],
    ['DoorLock.LockState', 'it is sensitive'],
    ['BasicInformation.NodeLabel', 'it is personal'],
    ['WiFiNetworkDiagnostics.Bssid', 'it is identifying'],
    ['Person.email', 'it is identifying'],
    ['StreamRecord.tenureId', 'it is identifying'],
    ['ModelDefinition.title', 'it is no number'],
    ['BasicInformation.FeatureMap', 'it is no number'],
  ])('has no field %s: %s', async (field, why) => {
    const wish = world.wish({ fields: ['device.model', field] })
    await expect(world.insight.create(wish)).rejects.toMatchObject({
      code: 'copy_refused',
      message: expect.stringContaining(`${field} never leaves: ${why}`),
    })
  })

  it('has no field that is not in the catalogue, and what was asked for is not repeated', async () => {
    const wish = world.wish({ fields: ['jane.doe.example'] })
    const refusal = await world.insight.create(wish).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'copy_refused' })
    expect((refusal as Error).message).not.toContain('jane')
  })

  it('has an end within policy', async () => {
    await expect(world.insight.create(world.wish({ expiresSeconds: 30 * 86_400 + 1 }))).rejects.toMatchObject(
      {
        code: 'copy_refused',
        message: 'A copy lives for 30 days at most here. Make another one later.',
      },
    )
    await expect(world.insight.create(world.wish({ expiresSeconds: Number.NaN }))).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  it('has a name, a purpose, fields, a password where one is needed, and a group of one at least', async () => {
    const postgres = 'postgres://analyst@127.0.0.1:5432/metrics'
    for (const change of [
      { name: 'A B' },
      { name: 'x' },
      { purpose: new Personal('  ') },
      { fields: [] },
      { minGroup: 0 },
      { to: postgres },
    ]) {
      await expect(world.insight.create(world.wish(change))).rejects.toMatchObject({
        code: 'invalid_request',
      })
    }
  })

  it('leaves nothing behind', async () => {
    await expect(
      world.insight.create(
        world.wish({
          to: 'postgres://analyst@127.0.0.1:9/metrics',
          password: new Secret('x'),
          fields: ['device.model'],
        }),
      ),
    ).rejects.toMatchObject({ code: 'unavailable' })
    expect(await world.insight.copies(true)).toEqual([])
    const { rowCount } = await world.database.pool.query("select from keys.wrapped_key where kind = 'copy'")
    expect(rowCount).toBe(0)
  })
})

describe('addresses of destinations', () => {
  it.each([
    'postgres://analyst:secret@host/metrics',
    'postgres://host/metrics',
    'postgres://analyst@host',
    'postgres://analyst@host/metrics?sslmode=disable',
    'mysql://analyst@host/metrics',
    '/etc/passwd',
    'file:///etc/passwd',
    '',
  ])('refuses %s', (to) => {
    expect(() => parseDestination(to)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })

  it('takes a file and a database', () => {
    expect(parseDestination('file')).toEqual({ kind: 'file' })
    expect(parseDestination('postgres://analyst@[::1]:6000/metrics')).toEqual({
      kind: 'postgres',
      host: '::1',
      port: 6000,
      user: 'analyst',
      database: 'metrics',
    })
  })
})

describe('what looks like a person’s', () => {
  it.each([
    'jane@maker.example',
    'jane (at) maker dot example',
    '1.0 for jane@home',
    '192.168.1.17',
    'fe80::1ff:fe23:4567:890a',
    'a4:83:e7:12:34:56',
    'A4-83-E7-12-34-56',
    '+49 30 901820',
    '(555) 867-5309',
    '52.520008, 13.404954',
    'Hauptstraße 12',
    '12 Baker Street',
    'SW1A 1AA',
    '0f8fad5b-d9cb-469f-a165-70867728950e',
    'eyJhbGciOiJFUzI1NiJ9',
    'ghp_16C7e42F292c6912E7710c838347Ae178B4a',
    'AKIAIOSFODNN7EXAMPLE',
    'x'.repeat(65),
  ])('is noticed: %s', (text) => {
    expect(looksPersonal(text)).toBe(true)
  })

  it.each([
    'hearth-lock',
    'test-lock',
    '1.0.0',
    '2.14.3-beta',
    '100',
    '102030',
    'SUCCESS',
    'UNSUPPORTED_ACCESS',
    'Ok',
    'credentials',
    '',
  ])('is not: %s', (text) => {
    expect(looksPersonal(text)).toBe(false)
  })

  it('does not leave, though the field may', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'hearthlock-planted-'))
    const world = await createWorld({ directory })
    try {
      const planted = await world.registry.addModel({
        ...LOCK,
        name: 'planted',
        firmware: '1.0 jane@home.example',
      })
      for (const model of [planted, world.model]) {
        await world.append(await world.device(model), 'availability', { online: true })
      }
      await world.insight.create(world.wish())
      await world.insight.tick()
      // The activation of the one is there, that of the other is not, and it was counted.
      const { rows } = await world.insight.metric('quality', 'activations')
      expect(rows.map(([, model, firmware, count]) => [model, firmware, count])).toEqual([
        ['test-lock', '1.0.0', 1],
      ])
      expect(world.insight.stats().insight_withheld_rows_total).toBeGreaterThan(0)
    } finally {
      await world.close()
      await rm(directory, { recursive: true, force: true })
    }
  })
})

describe('numbers in a copy', () => {
  it('have three digits: none holds a telephone number, an address, a code or a place', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const digits = Math.abs(coarse(value)).toString().replace(/0+$/, '')
        expect(digits.length).toBeLessThanOrEqual(3)
      }),
    )
    expect([coarse(867_5309), coarse(187), coarse(-61), coarse(52.520008)]).toEqual([
      8_680_000, 187, -61, 52.5,
    ])
  })

  it('are put together in an order that says nothing of when they came', () => {
    const row = (number: number): Observation => ({
      atMs: 0,
      device: undefined,
      model: 'm',
      firmware: undefined,
      field: 'f',
      number,
      label: undefined,
      count: 1,
    })
    const drawn = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 30 })
    fc.assert(
      fc.property(drawn, (numbers) => {
        const there = aggregate(numbers.map(row))
        expect(there).toEqual(aggregate([...numbers].reverse().map(row)))
        expect(there.reduce((sum, { count }) => sum + count, 0)).toBe(numbers.length)
      }),
    )
  })
})
