import type { Finding } from '../face.ts'
import type { DumpedRow } from '../stores/dump.ts'
import { textsOf } from '../stores/dumped-rows.ts'

export interface JoinAttack {
  findings: Finding[]
  tried: string[]
  /** What can be joined, and names nobody. */
  visible: string[]
}

const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:(\d\d):(\d\d)(\.\d+)?/
/** Seconds, milliseconds or microseconds since 1970, of our years. */
const EPOCH = /^1[5-9]\d{8}(\d{3}|\d{6})?$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** PostgreSQL's notes of its own sessions: of this moment, and in no file. */
const OF_THE_MOMENT = /^pg_stat_activity\./

/**
 * Joins what the attacker saw from outside (who did something at which minute) with what the copy says of times; and rows
 * with rows, by the ids that they share. A time finer than the hour singles out who was seen; ids join, and name nobody.
 */
export function attackByJoining(
  rows: readonly DumpedRow[],
  exactTimesAllowed: readonly string[],
): JoinAttack {
  const exact = new Map<string, number>()
  const coarse = new Set<string>()
  const columnsOf = new Map<string, Set<string>>()
  for (const row of rows) {
    for (const { column, text } of textsOf(row)) {
      if (OF_THE_MOMENT.test(column)) continue
      const time = TIME.exec(text)
      if (time || EPOCH.test(text)) {
        const isExact = time
          ? time[1] !== '00' || time[2] !== '00' || /[1-9]/.test(time[3] ?? '')
          : !isFullHour(text)
        if (isExact) exact.set(column, (exact.get(column) ?? 0) + 1)
        else coarse.add(column)
      } else if (UUID.test(text)) columnsOf.set(text, (columnsOf.get(text) ?? new Set()).add(column))
    }
  }
  const allowed = (column: string) => exactTimesAllowed.some((each) => each === column)
  const joined = [...columnsOf.values()].filter(({ size }) => size > 1)
  const pairs = new Set(joined.flatMap((columns) => [[...columns].map(tableOf).sort().join(' – ')]))
  return {
    findings: [...exact]
      .filter(([column]) => !allowed(column))
      .map(([column, count]) => ({
        attack: 'joins',
        whose: 'whoever was seen',
        what: 'exact times',
        how: 'joined with what can be seen from outside',
        where: `${column}, ${count} rows`,
      })),
    tried: [
      `${exact.size + coarse.size} columns of times, against what was seen to the minute`,
      `${columnsOf.size} opaque ids, over all tables`,
    ],
    visible: [
      `times to the hour: ${list(coarse)}`,
      `exact times that the threat model names: ${list([...exact.keys()].filter(allowed))}`,
      `rows that hang together by opaque ids, ${joined.length} ids: ${list(pairs)}`,
    ],
  }
}

function isFullHour(epoch: string): boolean {
  return Number(epoch) % (3_600 * 10 ** (epoch.length - 10)) === 0
}

function tableOf(column: string): string {
  return column.slice(0, column.lastIndexOf('.'))
}

const LISTED = 40

function list(items: Iterable<string>): string {
  const all = [...new Set(items)].sort()
  return all.length === 0
    ? 'none'
    : `${all.slice(0, LISTED).join(', ')}${all.length > LISTED ? ' and more' : ''}`
}
