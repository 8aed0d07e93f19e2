import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { print, type Terminal } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface DrillCommandOptions {
  households: number
  size: number
  tries: number
  json?: true
  html?: string
}

export function addDrillCommand(program: Command, context: CliContext): void {
  program
    .command('drill')
    .description(
      'prove that a stolen copy is hollow: on an installation of its own that it sets up, fills, copies, attacks and removes',
    )
    .summary('prove that a stolen copy is hollow')
    .option('--households <count>', 'how many marked households live there, 2 to 20', wholeNumber(2, 20), 3)
    .option('--size <events>', 'how many events their devices report', wholeNumber(0, 10_000_000), 500)
    .option(
      '--tries <count>',
      'how many strings of the copy are tried at each door',
      wholeNumber(10, 1_000_000),
      600,
    )
    .option('--json', 'the whole report as JSON')
    .option('--html <file>', 'write the report as a page of its own')
    .addHelpText('after', '\nExit code: 0 hollow, 1 not hollow, 2 not proved: the drill itself has failed.')
    .action(async (options: DrillCommandOptions) => {
      const { terminal, clock } = context
      // Loaded here: no other command needs any of this.
      const drill = await import('../drill/index.ts')
      const { startThrowAway } = await import('./throw-away.ts')
      const progress = progressBar(terminal)
      progress.show('setting up an installation')
      const installation = await startThrowAway(() => clock.nowMs())
      try {
        const seeded = await drill.seed({
          doors: installation,
          households: options.households,
          models: { lock: await shippedModel('hearth-lock'), bulb: await shippedModel('hearth-bulb') },
          events: options.size,
          onProgress: progress.show,
        })
        const database = await installation.openDatabase()
        try {
          const report = await drill.runDrill({
            where: 'an installation of its own',
            target: installation.target(database),
            seeded,
            doors: installation,
            tries: options.tries,
            alsoKnown: [],
            printedForPerson: [installation.enrolmentCode],
            workFolder: tmpdir(),
            nowMs: () => clock.nowMs(),
            onProgress: progress.show,
          })
          progress.end()
          if (options.html) await writeFile(options.html, drill.htmlReport(report), { mode: 0o600 })
          print(terminal, options.json ? JSON.stringify(report, null, 2) : drill.textReport(report))
          process.exitCode = drill.exitCodeOf(report)
        } finally {
          await database.close()
          await seeded.close()
        }
      } finally {
        progress.end()
        await installation.close()
      }
    })
}

/** A model description that comes with Hearthlock. */
export async function shippedModel(name: string): Promise<{ name: string; deviceType: string }> {
  return JSON.parse(await readFile(new URL(`../../models/${name}.json`, import.meta.url), 'utf8'))
}

const BAR_WIDTH = 24

/** One line that is written over on a terminal; a line a step elsewhere. */
function progressBar({ stderr }: Terminal): { show(what: string, fraction?: number): void; end(): void } {
  let last = ''
  return {
    show(what, fraction) {
      if (stderr.isTTY) {
        const done = Math.round((fraction ?? 0) * BAR_WIDTH)
        const bar =
          fraction === undefined
            ? ''
            : `${'█'.repeat(done)}${'░'.repeat(BAR_WIDTH - done)} ${Math.round(fraction * 100)} %  `
        stderr.write(`\r\u001b[2K  ${bar}${what}`)
      } else if (what !== last) stderr.write(`  … ${what}\n`)
      last = what
    },
    end: () => void (stderr.isTTY && stderr.write('\r\u001b[2K')),
  }
}
