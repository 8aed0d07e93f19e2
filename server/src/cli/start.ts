import type { Command } from 'commander'
import { type Config, type RunningServer, readConfig, startServer } from '../main/index.ts'
import type { CliContext } from './context.ts'
import { print, type Terminal } from './terminal.ts'
import { terminalLog } from './terminal-log.ts'

export function addStartCommand(program: Command, context: CliContext): void {
  program
    .command('start')
    .description('run Hearthlock on this machine')
    .option('--demo', 'with a demonstration: a household with a camera, a lock, a bulb and a plug')
    .option('--role <role>', 'all (API and gateway), api or gateway; separate ones share a database')
    .option('--data-dir <folder>', 'where the embedded database lives')
    .option('--root-key-file <file>', 'where the root key lies; never in the data directory')
    .action(async (options: { demo?: true; role?: string; dataDir?: string; rootKeyFile?: string }) => {
      const { terminal, signal } = context
      const config = await readConfig(context.env, {
        role: options.role,
        dataDir: options.dataDir,
        rootKeyFile: options.rootKeyFile,
      })
      const began = context.clock.nowMs()
      const progress = showProgress(terminal)
      const server = await startServer(config, {
        onProgress: progress.step,
        ...(terminal.stderr.isTTY ? { log: terminalLog(terminal, config.logLevel) } : {}),
      }).finally(progress.end)
      try {
        describe(terminal, config, server, context.clock.nowMs() - began)
        const demo = options.demo
          ? await (await import('./demo.ts')).startDemo({
              context,
              server,
              sendsLetters: config.smtp !== undefined,
            })
          : suggest(terminal, server)
        print(terminal)
        print(terminal, 'Ctrl-C stops it. docs/operations.md tells how to configure it.')
        try {
          await stopped(signal)
        } finally {
          await demo?.close()
        }
      } finally {
        print(terminal, 'Stopping …')
        await server.close()
        print(terminal, 'Stopped. Everything is as you left it.')
      }
    })
}

function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** One line that is written over on a terminal; a line a step elsewhere. */
function showProgress({ stderr }: Terminal): { step(what: string): void; end(): void } {
  const overwrite = stderr.isTTY ? '\r\u001b[2K' : ''
  const lineEnd = stderr.isTTY ? '' : '\n'
  return {
    step: (what) => void stderr.write(`${overwrite}  … ${what}${lineEnd}`),
    end: () => void stderr.write(overwrite),
  }
}

function describe(terminal: Terminal, config: Config, server: RunningServer, tookMs: number): void {
  const data = config.databaseUrl ? 'your PostgreSQL (HEARTHLOCK_DATABASE_URL)' : config.dataDir
  print(terminal)
  print(terminal, `Hearthlock is running (started in ${(tookMs / 1_000).toFixed(1)} s).`)
  if (config.role !== 'all') print(terminal, `  Role       ${config.role}`)
  if (server.url !== undefined) print(terminal, `  HTTP API   ${server.url}`)
  if (server.mqttPort !== undefined)
    print(terminal, `  MQTT       mqtts://${config.mqtt.host}:${server.mqttPort}`)
  if (server.plainMqttPort !== undefined)
    print(terminal, `  MQTT plain mqtt://127.0.0.1:${server.plainMqttPort} (this machine only)`)
  if (server.opsUrl !== undefined)
    print(terminal, `  Metrics    ${server.opsUrl}/metrics (this machine only)`)
  print(terminal, `  Mail       ${mailText(config)}`)
  print(terminal, `  Data       ${data}`)
  print(terminal, `  Root key   ${config.rootKeyFile}${server.rootKeyCreated ? ' (made just now)' : ''}`)
  print(
    terminal,
    '             Keep a copy of it, and keep it apart from the data and its backups: without it the data',
  )
  print(terminal, '             opens for nobody, you included; with both, for anybody.')
  print(terminal)
}

function mailText({ smtp }: Config): string {
  if (smtp) return `sent as ${smtp.from}`
  return 'not sent: letters wait in the outbox (hearthlock outbox) until HEARTHLOCK_SMTP_URL is set'
}

/** What to do with an installation that has no demonstration. */
function suggest(terminal: Terminal, server: RunningServer): undefined {
  if (server.url === undefined) return
  if (server.operatorEnrolment) {
    print(terminal, 'There is no operator yet. Within the hour, become the first (the code works once):')
    print(
      terminal,
      `  npx hearthlock enrol --code ${server.operatorEnrolment.reveal()} --email you@example.org --name You`,
    )
  }
  print(terminal, 'A customer signs up with:')
  print(terminal, '  npx hearthlock sign-up --email you@example.org --name You')
}
