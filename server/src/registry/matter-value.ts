import type {
  AttributeModel,
  CommandModel,
  Constraint,
  EventModel,
  FieldModel,
  FieldValue,
} from '@matter/model'
import { clip, leaf, listOf, type Member, nullable, structOf, type ValueChecker } from './matter-checker.ts'
import { floatBounds, type Interval, intervalsOf } from './matter-range.ts'

/** Bounds where Matter itself sets none: a household's device has no use for more. */
const MAX_LIST_ENTRIES = 128
const MAX_STRING_BYTES = 1024
const MAX_DEPTH = 12

export type MatterValue = AttributeModel | CommandModel | EventModel | FieldModel

/** `FieldValue.numericValue`: percent and degrees, as constraints write them, in the units of a type. */
export type Numeric = typeof FieldValue.numericValue

/** Compiles one Matter value (attribute, field, command or event) once, so that checking it is a closure call. */
export function compileValue(
  model: MatterValue,
  numeric: Numeric,
  depth = 0,
  entry?: Constraint.Ast,
): ValueChecker {
  if (depth > MAX_DEPTH) throw new Error('a Matter type nests deeper than known')
  const inner = compileType(model, entry ?? model.effectiveConstraint, numeric, depth)
  return model.nullable ? nullable(inner) : inner
}

/** The fields of a struct, an event or a command. */
export function compileFields(model: MatterValue, numeric: Numeric, depth = 0): ValueChecker {
  const members: Member[] = []
  for (const member of model.members) {
    const field = member as FieldModel
    if (!isLive(field)) continue
    const checker = compileValue(field, numeric, depth + 1)
    members.push({ name: field.name, required: isRequired(field), checker })
  }
  return structOf(members)
}

/** Deprecated and disallowed elements are not in the model; feature-dependent ones are. */
export function isLive(model: MatterValue): boolean {
  return !model.isDeprecated && !model.isDisallowed && model.effectiveMetatype !== undefined
}

/** Fabrics and nodes belong to Matter's own network, which is not this one: those fields may be left out. */
function isRequired(field: MatterValue): boolean {
  return field.mandatory && field.effectiveType !== 'fabric-idx' && field.effectiveType !== 'node-id'
}

function compileType(
  model: MatterValue,
  constraint: Constraint.Ast,
  numeric: Numeric,
  depth: number,
): ValueChecker {
  const scale = (value: unknown) => numeric(value as FieldValue.Open, model.effectiveType)
  switch (model.effectiveMetatype as string) {
    case 'boolean':
      return leaf({ expected: 'true or false', accepts: (value) => value === true || value === false })
    case 'integer':
      return integer(intervalsOf(constraint, integerRange(model), scale))
    case 'enum':
      return enumeration(model)
    case 'bitmap':
      return bitmap(model)
    case 'float':
      return float(model, constraint)
    case 'string':
      return text(
        lengthBounds(constraint, MAX_STRING_BYTES, scale),
        constraint.cpMax,
        SECRET_TEXT.test(model.name),
      )
    case 'bytes':
      return bytes(lengthBounds(constraint, MAX_STRING_BYTES, scale))
    case 'array':
      return list(model, constraint, numeric, depth)
    case 'object':
      return compileFields(model, numeric, depth)
    default:
      throw new Error('a Matter type has a kind that is not known here')
  }
}

function integerRange(model: MatterValue): Interval {
  const { name = 'uint64', byteSize } = model.primitiveBase ?? {}
  const bits = BigInt((typeof byteSize === 'number' ? byteSize : 8) * 8)
  if (model.effectiveType === 'percent') return { min: 0n, max: 100n }
  if (model.effectiveType === 'percent100ths') return { min: 0n, max: 10_000n }
  // Matter keeps one value of a nullable integer for null (section 7.19.1): 255 of a nullable uint8 is no level.
  const kept = model.nullable ? 1n : 0n
  return name.startsWith('int')
    ? { min: -(2n ** (bits - 1n)) + kept, max: 2n ** (bits - 1n) - 1n }
    : { min: 0n, max: 2n ** bits - 1n - kept }
}

function integer(intervals: readonly Interval[]): ValueChecker {
  const ranges = intervals.map(({ min, max }) => (min === max ? `${min}` : `${min}..${max}`)).join(', ')
  const wide = intervals.some(
    ({ min, max }) => min < Number.MIN_SAFE_INTEGER || max > Number.MAX_SAFE_INTEGER,
  )
  const first = intervals[0] as Interval
  if (!wide && intervals.length === 1) {
    const [min, max] = [Number(first.min), Number(first.max)]
    const accepts = (value: unknown) =>
      typeof value === 'number' && value >= min && value <= max && Number.isInteger(value)
    return leaf({ expected: `an integer ${ranges}`, accepts })
  }
  const inside = (exact: bigint) => intervals.some(({ min, max }) => exact >= min && exact <= max)
  return leaf({
    expected: `an integer ${ranges}${wide ? ' (beyond 2^53 as a decimal string)' : ''}`,
    accepts: (value) =>
      Number.isSafeInteger(value)
        ? inside(BigInt(value as number))
        : wide && typeof value === 'string' && isDecimal(value) && inside(BigInt(value)),
  })
}

function isDecimal(value: string): boolean {
  return value.length <= 20 && /^(0|-?[1-9][0-9]*)$/.test(value)
}

function enumeration(model: MatterValue): ValueChecker {
  const values = [...model.members].filter(
    (member) => typeof member.id === 'number' && !member.isDeprecated && !member.isDisallowed,
  )
  // Types such as enum8 leave their meaning to the device.
  if (values.length === 0) {
    const bits = BigInt((model.primitiveBase?.name ?? '').endsWith('16') ? 16 : 8)
    return integer([{ min: 0n, max: 2n ** bits - 1n }])
  }
  const names = new Map(values.map((value) => [value.id as number, value.name]))
  const known = new Set<unknown>([...names.keys(), ...names.values()])
  const shown = values.map((value) => `${value.name} (${value.id})`).join(', ')
  return leaf({
    expected: `one of ${clip(shown)}`,
    accepts: (value) => known.has(value),
    normalise: (value) => (typeof value === 'number' ? (names.get(value) ?? value) : value),
  })
}

function bitmap(model: MatterValue): ValueChecker {
  const bits: { name: string; mask: bigint }[] = []
  for (const member of model.members) {
    const { value, min, max } = member.effectiveConstraint
    const [low, high] = [Number(value ?? min), Number(value ?? max)]
    if (!Number.isInteger(low) || !Number.isInteger(high)) continue
    bits.push({ name: member.name, mask: (2n ** BigInt(high - low + 1) - 1n) << BigInt(low) })
  }
  const { byteSize } = model.primitiveBase ?? {}
  const all = 2n ** BigInt((typeof byteSize === 'number' ? byteSize : 8) * 8) - 1n
  const mask = bits.length === 0 ? all : bits.reduce((sum, bit) => sum | bit.mask, 0n) & all
  const shown = clip(bits.map((bit) => `${bit.name} (${bit.mask})`).join(', '))
  const expected = `an integer made of the bits ${shown || `0..${all}`}`
  if (mask <= 0x7fff_ffffn) {
    const unknown = ~Number(mask)
    return leaf({
      expected,
      accepts: (value) =>
        typeof value === 'number' &&
        value >= 0 &&
        value <= 0x7fff_ffff &&
        Number.isInteger(value) &&
        (value & unknown) === 0,
    })
  }
  return leaf({
    expected,
    accepts: (value) => {
      if (typeof value === 'string' ? !isDecimal(value) : !Number.isSafeInteger(value)) return false
      const exact = BigInt(value as number | string)
      return exact >= 0n && (exact & ~mask) === 0n
    },
  })
}

function float(model: MatterValue, constraint: Constraint.Ast): ValueChecker {
  const limit = model.primitiveBase?.name === 'single' ? 3.4028234663852886e38 : Number.MAX_VALUE
  const { min, max } = floatBounds(constraint, limit)
  const range = min === -limit && max === limit ? '' : ` ${min}..${max}`
  return leaf({
    expected: `a number${range}`,
    accepts: (value) => typeof value === 'number' && value >= min && value <= max,
  })
}

function lengthBounds(
  constraint: Constraint.Ast,
  most: number,
  scale: (value: unknown) => number | undefined,
): { min: number; max: number } {
  const intervals = intervalsOf(constraint, { min: 0n, max: BigInt(most) }, scale)
  const smallest = intervals.reduce((a, b) => (b.min < a.min ? b : a))
  const largest = intervals.reduce((a, b) => (b.max > a.max ? b : a))
  return { min: Number(smallest.min), max: Number(largest.max) }
}

/** Most secrets of Matter are octet strings. These are text: PINs of televisions, passwords of relays, session keys. */
const SECRET_TEXT = /Pin$|PinCode$|^Credential$|^Sdp$|Pass(word|phrase|code)/

/** Matter counts the bytes of the UTF-8 form; a code point limit may stand beside it. */
function text(
  { min, max }: { min: number; max: number },
  codePoints: number | undefined,
  secret: boolean,
): ValueChecker {
  return leaf({
    secret,
    expected: `a string of ${min}..${max} bytes${codePoints ? ` and at most ${codePoints} characters` : ''}`,
    accepts(value) {
      if (typeof value !== 'string' || value.length > max) return false
      if (value.length < min || value.length * 3 > max) {
        const length = Buffer.byteLength(value)
        if (length < min || length > max) return false
      }
      return codePoints === undefined || value.length <= codePoints || [...value].length <= codePoints
    },
  })
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function bytes({ min, max }: { min: number; max: number }): ValueChecker {
  const longest = Math.ceil(max / 3) * 4
  return leaf({
    // PIN codes, credentials, keys: what Matter carries as octet strings is not for whoever only looks on.
    secret: true,
    expected: `base64 of ${min === max ? min : `${min}..${max}`} bytes`,
    accepts(value) {
      if (typeof value !== 'string' || value.length > longest || !BASE64.test(value)) return false
      const length = Buffer.byteLength(value, 'base64')
      return length >= min && length <= max
    },
  })
}

function list(model: MatterValue, constraint: Constraint.Ast, numeric: Numeric, depth: number): ValueChecker {
  const entry = model.listEntry
  if (!entry) throw new Error('a Matter list has no entry type')
  const checker = compileValue(entry, numeric, depth + 1, constraint.entry)
  return listOf(
    checker,
    lengthBounds(constraint, MAX_LIST_ENTRIES, () => undefined),
  )
}
