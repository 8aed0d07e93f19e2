import type { FieldClass } from '../core/index.ts'

/** What the rule looks at in an element of Matter's data model. */
export interface MatterElement {
  cluster: string
  /** Of the attribute, event or command that holds it. */
  element: string
  kind: 'attribute' | 'event' | 'command'
  /** The data type's name, as Matter writes it: `uint8`, `epoch-s`, `node-id`. */
  type: string
  metatype: string | undefined
  /** Never changes while the device lives (quality F). */
  fixed: boolean
}

/**
 * How well a product works: power, radio, software. Whatever is in no such cluster may say when somebody is at home:
 * a light, a plug's power, a lock and a thermostat all do.
 */
const HARMLESS: ReadonlySet<string> = new Set([
  'BasicInformation',
  'Descriptor',
  'EthernetNetworkDiagnostics',
  'GeneralDiagnostics',
  'OtaSoftwareUpdateRequestor',
  'PowerSource',
  'SoftwareDiagnostics',
  'ThreadNetworkDiagnostics',
  'WiFiNetworkDiagnostics',
])

/** In them and nevertheless not: they give a moment to the second, or how much a household's network carries. */
const NOT_HARMLESS =
  /^(BasicInformation\.(LocalConfigDisabled|Reachable|ReachableChanged|Leave)|EthernetNetworkDiagnostics\.(TimeSinceReset|Packet\w+)|GeneralDiagnostics\.(UpTime|TestEventTriggersEnabled)|PowerSource\.(WiredAssessed\w+|BatChargingCurrent)|WiFiNetworkDiagnostics\.(Packet\w+|ChannelNumber)|ThreadNetworkDiagnostics\.((Tx|Rx)\w+|\w*Timestamp|Weighting|\w*DataVersion|Delay|\w*Table))$/
/** They name a network, or a unit in it. */
const NAMES_NETWORK =
  /^ThreadNetworkDiagnostics\.(Channel|ExtAddress|ExtendedPanId|LeaderRouterId|MeshLocalPrefix|PanId|PartitionId|Rloc16)$/

const PUBLIC: ReadonlySet<string> = new Set([
  'BasicInformation.VendorId',
  'BasicInformation.ProductId',
  'BasicInformation.HardwareVersion',
  'BasicInformation.SoftwareVersion',
  'BasicInformation.SpecificationVersion',
  'BasicInformation.DataModelRevision',
])
/** Of every cluster. */
const GLOBAL: ReadonlySet<string> = new Set(['ClusterRevision', 'FeatureMap'])

const IDENTIFYING_TYPES =
  /^(node-id|fabric-id|fabric-idx|group-id|subject-id|eui64|ipadr|ipv4adr|ipv6adr|ipv6pre|hwadr|octstr)$/
const MOMENTS = /^(epoch-s|epoch-us|posix-ms|systime-ms|systime-us|utc|tod|date|temporary-id)$/
const SCALARS: ReadonlySet<string | undefined> = new Set(['boolean', 'integer', 'float', 'enum', 'bitmap'])

/** The class of one scalar, string or container of Matter, by rule: what no rule lets through is not harmless. */
export function classifyMatter(of: MatterElement): FieldClass {
  const name = `${of.cluster}.${of.element}`
  if (of.metatype === 'bytes' || IDENTIFYING_TYPES.test(of.type)) return 'identifying'
  // People type names into them, firmware puts serials there, and nobody can tell.
  if (of.metatype === 'string') return 'personal'
  if (MOMENTS.test(of.type)) return 'sensitive'
  if (NAMES_NETWORK.test(name)) return 'identifying'
  if (NOT_HARMLESS.test(name)) return 'sensitive'
  // What somebody asked a device to do.
  if (of.kind === 'command') return 'sensitive'
  if (of.kind === 'attribute' && (PUBLIC.has(name) || GLOBAL.has(of.element))) return 'public'
  if (!SCALARS.has(of.metatype)) return HARMLESS.has(of.cluster) ? 'metric' : 'sensitive'
  if (of.kind === 'attribute' && of.fixed) return 'metric'
  return HARMLESS.has(of.cluster) ? 'metric' : 'sensitive'
}

/** A number, a choice or true-or-false by itself. Bits are not: rounded they say nothing, whole they can hold anything. */
export function isMeasure(metatype: string | undefined): boolean {
  return metatype !== 'bitmap' && SCALARS.has(metatype)
}

/** Rounded to three digits it names nothing; `device.model` and `device.firmware` say it. */
export function isProductNumber(cluster: string, element: string): boolean {
  return PUBLIC.has(`${cluster}.${element}`)
}
