import { readFile } from 'node:fs/promises'
import { Matter } from '@matter/model'
import { describe, expect, it } from 'vitest'
import { type FieldClasses, recordFields } from '../../src/core/index.ts'
import type { CatalogueEntry } from '../../src/insight/index.ts'
import { fieldCatalogue } from '../../src/main/catalogue.ts'

const catalogue = await fieldCatalogue()
const of = (field: string) => catalogue.get(field)?.class

describe('the catalogue of fields', () => {
  it('has a class for every live attribute, event field and command argument of Matter', () => {
    const missing: string[] = []
    for (const cluster of Matter.clusters) {
      if (cluster.id === undefined) continue
      for (const each of cluster.attributes) {
        if (each.isDeprecated || each.isDisallowed || each.effectiveMetatype === undefined) continue
        if (!catalogue.get(`${cluster.name}.${each.name}`)) missing.push(`${cluster.name}.${each.name}`)
      }
      for (const each of [...cluster.events, ...cluster.commands]) {
        if (each.isDeprecated || each.isDisallowed || each.effectiveMetatype === undefined) continue
        for (const field of each.members) {
          if (field.isDeprecated || field.isDisallowed || field.effectiveMetatype === undefined) continue
          const path = `${cluster.name}.${each.name}.${field.name}`
          if (!catalogue.get(path)) missing.push(path)
        }
      }
    }
    expect(missing).toEqual([])
    expect(catalogue.entries.length).toBeGreaterThan(3_000)
  })

  it('lets no text and no bytes of a device into a copy', () => {
    const kinds = new Set(
      catalogue.entries
        .filter(({ of, copyable }) => copyable && of !== 'fact')
        .map(({ metatype }) => metatype),
    )
    expect([...kinds].sort()).toEqual(['boolean', 'enum', 'float', 'integer'])
    const texts = catalogue.entries.filter(({ metatype }) => metatype === 'string' || metatype === 'bytes')
    expect(texts.length).toBeGreaterThan(100)
    expect(texts.filter((entry) => ['metric', 'public', 'sensitive'].includes(entry.class))).toEqual([])
  })

  it('lets nothing into a copy that says when somebody is at home', () => {
    const atHome = [
      'OnOff.OnOff',
      'LevelControl.CurrentLevel',
      'DoorLock.LockState',
      'DoorLock.DoorState',
      'OccupancySensing.Occupancy',
      'OccupancySensing.OccupancyChanged.Occupancy',
      'BooleanState.StateValue',
      'ElectricalPowerMeasurement.ActivePower',
      'Thermostat.LocalTemperature',
      'WindowCovering.CurrentPositionLiftPercent100ths',
      'GeneralDiagnostics.UpTime',
      'WiFiNetworkDiagnostics.PacketUnicastTxCount',
    ]
    for (const field of atHome) expect({ field, class: of(field) }).toEqual({ field, class: 'sensitive' })
    const copyable = catalogue.entries.filter((entry) => entry.copyable && entry.of === 'event')
    expect(
      copyable.filter(({ field }) => /^(DoorLock|OccupancySensing|Switch|ZoneManagement)\./.test(field)),
    ).toEqual([])
  })

  it('lets nothing of a command into a copy, and no entry of a list', () => {
    expect(catalogue.entries.filter((entry) => entry.of === 'command' && entry.copyable)).toEqual([])
    expect(catalogue.get('PowerSource.ActiveBatFaults')?.copyable).toBe(false)
  })

  it('knows identifiers of people, nodes and networks', () => {
    expect(of('DoorLock.LockOperation.SourceNode')).toBe('identifying')
    expect(of('WiFiNetworkDiagnostics.Bssid')).toBe('identifying')
    expect(of('ThreadNetworkDiagnostics.PanId')).toBe('identifying')
    expect(of('BasicInformation.SerialNumber')).toBe('personal')
    expect(of('Person.email')).toBe('identifying')
    expect(of('HouseholdEvent.account')).toBe('identifying')
    expect(of('StreamRecord.tenureId')).toBe('identifying')
  })

  it('knows what analysts need', () => {
    for (const field of [
      'PowerSource.BatPercentRemaining',
      'WiFiNetworkDiagnostics.Rssi',
      'connection.outcome',
    ])
      expect({ field, ...catalogue.get(field) }).toMatchObject({ field, class: 'metric', copyable: true })
  })

  it('does not compile with a field that has no class', () => {
    interface Person {
      name: string
      shoeSize: number
    }
    // @ts-expect-error shoeSize has no class
    const fields: FieldClasses<Person> = { name: 'identifying' }
    // @ts-expect-error nor may one be classified that is not there
    recordFields<Person>('Person', { name: 'identifying', shoeSize: 'personal', hat: 'personal' })
    expect(fields).toBeDefined()
  })

  it('stands in docs/insight.md as it is', async () => {
    const document = await readFile(new URL('../../../docs/insight.md', import.meta.url), 'utf8')
    const section = (name: string) =>
      document.split(`<!-- catalogue:${name} -->\n`)[1]?.split(`<!-- /catalogue:${name} -->`)[0]
    const row = ({ field, class: is, copyable }: CatalogueEntry) =>
      `| \`${field}\` | ${is} | ${copyable ? 'yes' : 'never'} |\n`
    const records = catalogue.entries.filter((entry) => entry.of === 'record' || entry.of === 'fact')
    const matter = catalogue.entries.filter(
      ({ copyable, of, field }) =>
        copyable && of !== 'fact' && !/\.(ClusterRevision|FeatureMap)$/.test(field),
    )
    expect(section('records')).toBe(
      `\n| Field | Class | In a copy |\n|---|---|---|\n${records.map(row).join('')}\n`,
    )
    const clusters = Map.groupBy(matter, ({ field }) => field.slice(0, field.indexOf('.')))
    const lines = [...clusters].map(
      ([name, all]) => `| ${name} | ${all.map(({ field }) => field.slice(name.length + 1)).join(', ')} |\n`,
    )
    expect(section('matter')).toBe(`\n| Cluster | Fields |\n|---|---|\n${lines.join('')}\n`)
  })
})
