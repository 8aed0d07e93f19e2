/**
 * How near a field is to a person. Only `metric` and `public` can be named in a copy for analysts.
 *
 * - `identifying`: names a person, household or device, or is a credential or a key
 * - `personal`: about a person: text that somebody wrote, an address, who did something
 * - `sensitive`: says when somebody is at home, asleep or away, or lets it be worked out
 * - `metric`: how well a product works
 * - `public`: the maker's own, printed on the box
 */
export type FieldClass = 'identifying' | 'personal' | 'sensitive' | 'metric' | 'public'

export const fieldClasses = ['identifying', 'personal', 'sensitive', 'metric', 'public'] as const

/** Of every field of a record: a field that is added to `T` and not classified does not compile. */
export type FieldClasses<T> = Readonly<Record<T extends unknown ? keyof T & string : never, FieldClass>>

/** The classified fields of one kind of event or record. */
export interface RecordFields {
  record: string
  fields: Readonly<Record<string, FieldClass>>
}

/** @param fields of all members of `T`; of a union, of all its members together */
export function recordFields<T>(record: string, fields: FieldClasses<T>): RecordFields {
  return { record, fields }
}
