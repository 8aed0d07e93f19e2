import Type, { type TProperties } from 'typebox'

/** Shapes that more than one resource uses. Every object refuses properties it does not know. */
export function strict<T extends TProperties>(properties: T, description?: string) {
  return Type.Object(properties, { additionalProperties: false, ...(description ? { description } : {}) })
}

const UUID = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'

/** A UUID in lower case. */
export const Id = Type.String({ pattern: UUID, examples: ['0f8fad5b-d9cb-469f-a165-70867728950e'] })
/** ISO 8601 in UTC with milliseconds. */
export const Time = Type.String({ examples: ['2026-01-31T12:00:00.000Z'] })
/** No control characters (C0, DEL, C1), at least one visible character. */
export const HumanText = (maxLength: number) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern:
      '^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$',
  })
/** Any JSON object. */
export const AnyObject = Type.Record(Type.String(), Type.Unknown())
export const Empty = strict({})

export function time(ms: number): string {
  return new Date(ms).toISOString()
}
