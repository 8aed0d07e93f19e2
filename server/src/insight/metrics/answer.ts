import { AppError } from '../../core/index.ts'
import type { Rows } from '../destinations/destination.ts'
import { metrics } from './definitions.ts'
import type { Metric, MetricAnswer } from './metric.ts'

/** @throws AppError not_found */
export function metricOf(name: string): Metric {
  const found = metrics.find((metric) => metric.name === name)
  if (!found) throw new AppError('not_found')
  return found
}

/** @throws AppError conflict that names the field which the copy lacks */
export function requireFields(metric: Metric, fields: readonly string[]): void {
  const missing = metric.needs.filter((field) => !fields.includes(field))
  if (missing.length === 0) return
  throw new AppError('conflict', {
    message: `This copy cannot answer that: it was made without ${missing.join(', ')}.`,
  })
}

/** Without rows that stand for fewer than `minGroup`, and without the column that says so. */
export function answerOf(metric: Metric, { columns, rows }: Rows, minGroup: number): MetricAnswer {
  const last = columns.length - 1
  const shown = rows.filter((row) => Number(row[last]) >= minGroup)
  return {
    metric,
    columns: columns.slice(0, last),
    rows: shown.map((row) => row.slice(0, last).map(cell)),
    hidden: rows.length - shown.length,
  }
}

function cell(value: unknown): string | number | null {
  if (value === null || value === undefined) return null
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'bigint') return Number(value)
  return typeof value === 'number' ? value : String(value)
}
