/**
 * What a value of one Matter type may be in JSON. `accepts` runs for every attribute of every device and neither
 * allocates nor throws; `explain` runs only after it said no, and never repeats the value.
 */
export interface ValueChecker {
  accepts(value: unknown): boolean
  /** "path: expected …", of the innermost place that does not fit. */
  explain(value: unknown, path: string): string
  /** Enum integers by name, all the way down. */
  normalise(value: unknown): unknown
  /**
   * What others than its sender may read: without secrets, and without what Matter does not define at this place.
   * Undefined when nothing is left. `withheld` gets the paths of what is not in it.
   */
  redact(value: unknown, path: string, withheld: Set<string>): unknown
}

interface LeafOptions {
  expected: string
  accepts(value: unknown): boolean
  normalise?: (value: unknown) => unknown
  /** Read by its sender and the device, and nobody else. */
  secret?: boolean
}

const same = (value: unknown) => value

export function leaf({ expected, accepts, normalise = same, secret = false }: LeafOptions): ValueChecker {
  return {
    accepts,
    explain: (_value, path) => `${path}: expected ${expected}`,
    normalise,
    redact(value, path, withheld) {
      if (!secret && accepts(value)) return value
      withheld.add(path)
      return undefined
    },
  }
}

export function nullable(inner: ValueChecker): ValueChecker {
  return {
    accepts: (value) => value === null || inner.accepts(value),
    explain: (value, path) => `${inner.explain(value, path)}, or null`,
    normalise: (value) => (value === null ? null : inner.normalise(value)),
    redact: (value, path, withheld) => (value === null ? null : inner.redact(value, path, withheld)),
  }
}

export function listOf(entry: ValueChecker, { min, max }: { min: number; max: number }): ValueChecker {
  return {
    accepts(value) {
      if (!Array.isArray(value) || value.length < min || value.length > max) return false
      for (let at = 0; at < value.length; at++) if (!entry.accepts(value[at])) return false
      return true
    },
    explain(value, path) {
      if (Array.isArray(value) && value.length >= min && value.length <= max) {
        const at = value.findIndex((each) => !entry.accepts(each))
        if (at >= 0) return entry.explain(value[at], `${path}[${at}]`)
      }
      return `${path}: expected a list of ${min === max ? min : `${min}..${max}`} entries`
    },
    normalise: (value) => (Array.isArray(value) ? value.map(entry.normalise) : value),
    redact(value, path, withheld) {
      if (Array.isArray(value)) {
        return value.map((each) => entry.redact(each, path, withheld)).filter((each) => each !== undefined)
      }
      withheld.add(path)
      return undefined
    },
  }
}

export interface Member {
  name: string
  required: boolean
  checker: ValueChecker
}

/** An object of Matter field names. A field that Matter does not have is refused. */
export function structOf(members: readonly Member[]): ValueChecker {
  const byName = new Map(members.map((member) => [member.name, member]))
  const required = members.filter((member) => member.required).map((member) => member.name)
  const names = clip(members.map((member) => member.name).join(', ')) || 'none'
  return {
    accepts(value) {
      if (!isObject(value)) return false
      let found = 0
      for (const key in value) {
        const member = byName.get(key)
        if (member === undefined || !member.checker.accepts(value[key])) return false
        if (member.required) found++
      }
      return found === required.length
    },
    explain(value, path) {
      if (!isObject(value)) return `${path}: expected an object with the fields ${names}`
      for (const key of Object.keys(value)) {
        const member = byName.get(key)
        if (!member) return `${path}: there is no field ${shownName(key)}; the fields are ${names}`
        if (!member.checker.accepts(value[key])) return member.checker.explain(value[key], `${path}.${key}`)
      }
      const missing = required.filter((name) => !Object.hasOwn(value, name))
      return `${path}: the mandatory field ${missing.join(', ')} is missing`
    },
    normalise(value) {
      if (!isObject(value)) return value
      const entries = Object.entries(value).map(([key, each]) => [
        key,
        byName.get(key)?.checker.normalise(each) ?? each,
      ])
      return Object.fromEntries(entries)
    },
    redact(value, path, withheld) {
      if (!isObject(value)) {
        withheld.add(path || UNKNOWN_FIELD)
        return undefined
      }
      const entries = Object.entries(value).flatMap(([key, each]) => {
        const member = byName.get(key)
        // Even its name is the sender's own word.
        const shown = member?.checker.redact(each, path ? `${path}.${key}` : key, withheld)
        if (!member) withheld.add(path ? `${path}.${UNKNOWN_FIELD}` : UNKNOWN_FIELD)
        return shown === undefined ? [] : [[key, shown]]
      })
      return Object.fromEntries(entries)
    },
  }
}

/** Stands for fields that Matter does not define, among the names of what was withheld. */
export const UNKNOWN_FIELD = '(unknown)'

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const NAME = /^[A-Za-z0-9_./]{1,80}$/

/** A member's name may be repeated in a reason when it looks like one; anything else might be a value astray. */
export function shownName(name: string): string {
  return NAME.test(name) ? name : 'of that name'
}

/** Lists of names in reasons stay short: MQTT reason strings travel in every PUBACK. */
export function clip(text: string, length = 240): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`
}
