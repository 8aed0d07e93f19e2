import { sql } from 'kysely'

/** Of a code's row: no reset since has reached the household that `household`, a column, names. */
export function beforeNoReset(household: string, epoch = 'epoch') {
  return sql<boolean>`${sql.ref(epoch)} >= registry.code_epoch(${sql.ref(household)})`
}
