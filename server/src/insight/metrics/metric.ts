/** A question that analysts ask, defined once: its name, what the answer means, and the one statement that answers it. */
export interface Metric {
  name: string
  title: string
  meaning: string
  /** Fields that a copy must have. */
  needs: readonly string[]
  /**
   * Over the table `observation`, in words that PostgreSQL and DuckDB share. The last column, `group_size`, says how many devices or
   * attempts a row stands for: rows of too few are not shown.
   */
  sql: string
  /** For a chart: the columns of its two axes. */
  chart: { x: string; y: string }
}

export interface MetricAnswer {
  metric: Metric
  columns: string[]
  rows: (string | number | null)[][]
  /** Rows that stand for fewer than the copy's smallest group. */
  hidden: number
}
