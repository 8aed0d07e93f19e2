/** Prints rows as a table with aligned columns; numbers to the right. */
export function printTable(title: string, rows: Record<string, string | number>[]): void {
  const columns = Object.keys(rows[0] ?? {})
  const cells = rows.map((row) => columns.map((column) => show(row[column])))
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...cells.map((row) => row[index]?.length ?? 0)),
  )
  console.log(`\n${title}`)
  console.log(columns.map((column, index) => column.padEnd(widths[index] ?? 0)).join('  '))
  for (const row of cells) console.log(row.map((cell, index) => align(cell, widths[index] ?? 0)).join('  '))
}

function show(value: string | number | undefined): string {
  if (typeof value !== 'number') return value ?? ''
  return value >= 100 ? Math.round(value).toLocaleString('en-GB') : value.toFixed(2)
}

function align(cell: string, width: number): string {
  return /^[\d.,×]+$/.test(cell) ? cell.padStart(width) : cell.padEnd(width)
}

/** The value below which the given share of the samples lie; 0 ≤ share ≤ 1. */
export function percentile(samples: number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

export const median = (samples: number[]): number => percentile(samples, 0.5)
