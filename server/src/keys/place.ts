/**
 * Where a sealed value stands, as one string: a column and the ids of its row, for instance
 * `place('registry.household.name', householdId)`. It is authenticated with the value, so that a value copied
 * to another place does not open. Different lists of parts never give the same string (JSON is unambiguous,
 * and escapes lone surrogates, which UTF-8 would otherwise fold into one character).
 */
export function place(...parts: string[]): string {
  return JSON.stringify(parts)
}
