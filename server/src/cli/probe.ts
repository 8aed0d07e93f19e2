import { readFile, writeFile } from 'node:fs/promises'
import { type Command, CommanderError, InvalidArgumentError } from 'commander'
import { isAppError } from '../core/index.ts'
import { type ProbeResult, probe, protocols } from '../probes/index.ts'
import type { CliContext } from './context.ts'
import { exitCodeOf, printResults, resultsAsJson } from './probe-report.ts'
import { resultsAsSarif } from './probe-sarif.ts'
import { probeStores } from './stores.ts'
import { clean, print } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface Options {
  json?: true
  sarif?: true
  output?: string
  file?: string
  stores?: true
  only?: string[]
  timeout: number
  rate: number
}

/** Wrong use has a code of its own: 1 says that something is open. */
const WRONG_USE = 2
const COULD_NOT_TELL = 3
const MOST_ADDRESSES = 10_000
const PORTS_AT_A_TIME = 16

export function addProbeCommand(program: Command, context: CliContext): void {
  const names = protocols.map(({ protocol }) => protocol).join(', ')
  const command = program
    .command('probe [addresses...]')
    .usage('[options] ADDRESS…')
    .description(
      [
        'ask stores as a stranger whether they let data be read. No account, no server and no configuration is needed.',
        'An ADDRESS is host, host:port or protocol://host:port, IPv6 in brackets. A bare host is asked at the usual ports of all protocols; a bare port is identified.',
        'Probes write nothing, and read no more than proves that reading works; they do try the published default passwords of each product. Only these addresses are contacted: name only what is yours, or what its owner asked you to probe.',
        `Protocols: ${names}.`,
        'Exit code: 0 nothing is open, 1 something is open, 2 wrong use, 3 an address gave no answer, so nothing can be told.',
      ].join('\n\n'),
    )
    .summary('ask any store as a stranger whether it lets data be read')
    .option('--json', 'as JSON')
    .option('--sarif', 'as SARIF 2.1.0, for code scanning dashboards')
    .option('--output <file>', 'write the JSON, SARIF or table there, and show the table here')
    .option('--file <list>', 'addresses from a file, one a line; - reads standard input')
    .option('--stores', 'what your installation watches, asked by its server (operators)')
    .option('--only <protocols>', 'only these, separated by commas', commaSeparated)
    .option('--timeout <seconds>', 'for one protocol at one port', wholeNumber(1, 120), 5)
    .option('--rate <connections>', 'at most so many connections a second', wholeNumber(1, 10_000), 50)
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : new CommanderError(WRONG_USE, error.code, error.message)
    })
    .action(async (given: string[], options: Options) => {
      if (options.stores) {
        if (given.length > 0) command.error('error: --stores, or addresses, not both')
        await probeStores(context)
        return
      }
      if (options.json && options.sarif) command.error('error: --json or --sarif, not both')
      const addresses = [...given, ...(options.file === undefined ? [] : await listed(options.file))]
      if (addresses.length === 0) command.error('error: give at least one ADDRESS, or a list with --file')
      if (addresses.length > MOST_ADDRESSES) command.error(`error: at most ${MOST_ADDRESSES} addresses`)
      const startedAt = new Date(context.clock.nowMs())
      const results = await probeAll(addresses, options)
      const report = { results, startedAt, finishedAt: new Date(context.clock.nowMs()) }
      await show(report, options)
      process.exitCode = context.signal.aborted ? COULD_NOT_TELL : exitCodeOf(results)
    })

  async function probeAll(addresses: string[], { only, timeout, rate }: Options): Promise<ProbeResult[]> {
    const { stderr } = context.terminal
    const results: ProbeResult[] = []
    try {
      const found = probe(addresses, {
        clock: context.clock,
        timeoutMilliseconds: timeout * 1_000,
        ...(only && { only }),
        concurrency: PORTS_AT_A_TIME,
        ratePerSecond: rate,
        signal: context.signal,
        onProgress({ done, total }) {
          if (stderr.isTTY) stderr.write(`\rprobing: ${done} of ${total}`)
        },
      })
      for await (const result of found) results.push(result)
    } catch (error) {
      if (!isAppError(error, 'invalid_request')) throw error
      command.error(`error: ${clean(error.message)}`)
    } finally {
      if (stderr.isTTY) stderr.write('\r\x1b[K')
    }
    return results
  }

  async function show(report: Parameters<typeof resultsAsJson>[0], options: Options): Promise<void> {
    const { terminal } = context
    const document = options.json ? resultsAsJson(report) : options.sarif ? resultsAsSarif(report) : undefined
    if (options.output === undefined) {
      if (document !== undefined) print(terminal, document)
      else printResults(terminal, report.results)
      return
    }
    await writeFile(options.output, `${document ?? asText(report.results)}\n`)
    printResults(terminal, report.results)
  }

  async function listed(file: string): Promise<string[]> {
    const lines = (await readList(file)).split('\n').map((line) => line.replace(/(?:^|\s)#.*$/, '').trim())
    return lines.filter((line) => line !== '')
  }

  async function readList(file: string): Promise<string> {
    if (file === '-') {
      const parts: Buffer[] = []
      for await (const part of context.terminal.stdin) parts.push(Buffer.from(part))
      return Buffer.concat(parts).toString('utf8')
    }
    try {
      return await readFile(file, 'utf8')
    } catch {
      return command.error(`error: the list ${clean(file)} cannot be read`)
    }
  }
}

function asText(results: readonly ProbeResult[]): string {
  let text = ''
  const stdout = { write: (part: string) => (text += part) } as unknown as NodeJS.WritableStream
  printResults({ stdout }, results)
  return text.trimEnd()
}

function commaSeparated(text: string): string[] {
  const names = text.split(',').map((name) => name.trim().toLowerCase())
  if (names.includes('')) throw new InvalidArgumentError('Protocols, separated by commas, please.')
  return names
}
