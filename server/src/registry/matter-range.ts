import type { Constraint } from '@matter/model'

/** Inclusive bounds in exact arithmetic. */
export interface Interval {
  min: bigint
  max: bigint
}

type Expression = Constraint.Expression | undefined

/**
 * A Matter constraint ("1 to 254", "max 16, 255", "-2^62 to 2^62") as intervals within `base`.
 * Bounds that hang on another attribute ("max maxZones") or on prose ("desc") are known to the device only: they
 * bound nothing here. `scale` turns percent and degrees into the units of the type.
 */
export function intervalsOf(constraint: Constraint.Ast, base: Interval, scale: Scale): Interval[] {
  const parts = constraint.parts ?? [constraint]
  const intervals = parts.map((part) => {
    if (part.value !== undefined && part.value !== null) {
      const value = evaluate(part.value, scale)
      return value === undefined ? base : within({ min: ceil(value), max: floor(value) }, base)
    }
    const min = evaluate(part.min, scale)
    const max = evaluate(part.max, scale)
    return within(
      { min: min === undefined ? base.min : ceil(min), max: max === undefined ? base.max : floor(max) },
      base,
    )
  })
  const possible = intervals.filter(({ min, max }) => min <= max)
  return possible.length > 0 ? possible : [base]
}

/** The same for floating point: one lower and one upper bound. */
export function floatBounds(constraint: Constraint.Ast, limit: number): { min: number; max: number } {
  if (constraint.parts) return { min: -limit, max: limit }
  const min = evaluate(constraint.value ?? constraint.min, () => undefined)
  const max = evaluate(constraint.value ?? constraint.max, () => undefined)
  return { min: min === undefined ? -limit : Number(min), max: max === undefined ? limit : Number(max) }
}

/** A percent or a temperature, as written in a constraint, in the units of the type. */
export type Scale = (value: unknown) => number | undefined

function evaluate(expression: Expression, scale: Scale): number | bigint | undefined {
  if (typeof expression === 'number' || typeof expression === 'bigint') return expression
  if (typeof expression !== 'object' || expression === null || !('type' in expression)) return undefined
  if ('args' in expression) {
    // A bound that is the greatest or least of several holds only when all of them are known.
    const values = expression.args.map((each) => evaluate(each, scale))
    if (values.some((value) => value === undefined)) return undefined
    const numbers = values as (number | bigint)[]
    return numbers.reduce((a, b) => ((expression.type === 'maxOf') === a > b ? a : b))
  }
  if (!('lhs' in expression)) return scale(expression)
  const lhs = evaluate(expression.lhs, scale)
  const rhs = evaluate(expression.rhs, scale)
  if (lhs === undefined || rhs === undefined) return undefined
  if (expression.type === '/') return Number(lhs) / Number(rhs)
  if (!Number.isInteger(Number(lhs)) || !Number.isInteger(Number(rhs))) return undefined
  const [a, b] = [BigInt(lhs), BigInt(rhs)]
  switch (expression.type) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '^':
      // The specification writes -2^62 for -(2^62).
      return a < 0n ? -((-a) ** b) : a ** b
    default:
      return undefined
  }
}

function within(inner: Interval, outer: Interval): Interval {
  const clipped = { ...inner }
  if (outer.min > clipped.min) clipped.min = outer.min
  if (outer.max < clipped.max) clipped.max = outer.max
  return clipped
}

function ceil(value: number | bigint): bigint {
  return typeof value === 'bigint' ? value : BigInt(Math.ceil(value))
}

function floor(value: number | bigint): bigint {
  return typeof value === 'bigint' ? value : BigInt(Math.floor(value))
}
