/** One kind of letter: plain text in English. The subject is the same for everybody: it stands in the open on lock screens. */
export interface Kind<Field extends string> {
  subject: string
  /** After this long nobody is served by it any more, and it is not sent. */
  usefulMinutes: number
  /** Every field has been made one line without control characters. */
  text(fields: Record<Field, string>): string
}

export const A_DAY = 24 * 60

export function kind<Field extends string = never>(definition: Kind<Field>): Kind<Field> {
  return definition
}
