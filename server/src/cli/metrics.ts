import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { bar } from './copies.ts'
import { print, table } from './terminal.ts'

interface MetricShape {
  name: string
  title: string
  meaning: string
  needs: string[]
}

interface AnswerShape {
  title: string
  meaning: string
  chart: { x: string; y: string }
  columns: string[]
  rows: (string | number | null)[][]
  hidden: number
}

interface Choice {
  copy: string
  csv?: true
  chart?: true
  json?: true
}

/** What analysts ask, over a copy. */
export function addMetricCommands(program: Command, context: CliContext): void {
  const { terminal } = context
  const operator = () => context.as('operator')

  program
    .command('metrics [metric]')
    .description('answer one of the ready-made questions from a copy (analysts); without a name, list them')
    .summary('how devices do, from a copy')
    .option('--copy <name>', 'from which copy')
    .option('--csv', 'as comma-separated values')
    .option('--chart', 'as bars')
    .option('--json', 'for programs')
    .action(async (name: string | undefined, choice: Choice) => {
      if (name === undefined || choice.copy === undefined) {
        await list()
        if (name !== undefined)
          print(terminal, `\nFrom which copy? npx hearthlock metrics ${name} --copy NAME`)
        return
      }
      const path = `/v1/copies/${encodeURIComponent(choice.copy)}/metrics/${encodeURIComponent(name)}`
      show(await operator().request<AnswerShape>('GET', path), choice)
    })

  async function list(): Promise<void> {
    const { metrics } = await operator().request<{ metrics: MetricShape[] }>('GET', '/v1/metrics')
    table(terminal, {
      header: ['METRIC', 'WHAT', 'NEEDS'],
      rows: metrics.map(({ name, title, needs }) => [name, title, needs.join(', ')]),
      none: 'There are none.',
    })
  }

  function show(answer: AnswerShape, { csv, chart, json }: Choice): void {
    if (json) {
      print(terminal, JSON.stringify(answer, null, 2))
      return
    }
    if (csv) {
      for (const row of [answer.columns, ...answer.rows]) print(terminal, row.map(quoted).join(','))
      return
    }
    print(terminal, answer.title)
    print(terminal, answer.meaning)
    print(terminal)
    if (chart) bars(answer)
    else
      table(terminal, {
        header: answer.columns.map((name) => name.toUpperCase()),
        rows: answer.rows.map((row) => row.map((cell, at) => shown(cell, answer.columns[at]))),
        none: 'Nothing to show yet.',
      })
    if (answer.hidden > 0)
      print(
        terminal,
        `\n${answer.hidden} rows stand for too few devices and are not shown (copy show: groups).`,
      )
  }

  /** One bar for each row: what it is about, and how much. */
  function bars({ columns, rows, chart }: AnswerShape): void {
    const y = columns.indexOf(chart.y)
    const most = Math.max(...rows.map((row) => Number(row[y])), 0)
    const names = rows.map((row) =>
      row
        .map((cell, at) =>
          columns[at] === chart.x || typeof cell === 'string' ? shown(cell, columns[at]) : '',
        )
        .filter((text) => text !== '')
        .join('  '),
    )
    const width = Math.max(0, ...names.map((name) => name.length))
    for (const [at, row] of rows.entries()) {
      const part = most > 0 ? Math.max(0, Number(row[y])) / most : 0
      print(terminal, `${(names[at] ?? '').padEnd(width)}  ${bar(part, 40)}  ${shown(row[y] ?? null)}`)
    }
  }
}

/** In UTC, as the metric's days and hours are. */
function shown(cell: string | number | null, column?: string): string {
  const text = String(cell ?? '')
  const [, day, hour] = /^(\d{4}-\d\d-\d\d)T(\d\d):00:00(?:\.000)?Z$/.exec(text) ?? []
  if (day === undefined) return text
  return column === 'hour' ? `${day} ${hour}:00` : day
}

/** RFC 4180; and no cell that a spreadsheet would take for a formula. */
function quoted(cell: string | number | null): string {
  const text = String(cell ?? '')
  const safe = typeof cell === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
