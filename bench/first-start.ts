import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts, until } from './support/fleet.ts'
import { median, printTable } from './support/table.ts'

const BIN = fileURLToPath(new URL('../server/bin/hearthlock.js', import.meta.url))
const RUNS = 3

/** From the command to a household whose four devices have spoken (first event), and the same on existing data. */
const first: number[] = []
const second: number[] = []
for (let run = 0; run < RUNS; run += 1) {
  const directory = await mkdtemp(join(tmpdir(), 'hearthlock-bench-'))
  await chmod(directory, 0o711)
  const [http, mqtt, ops] = await freePorts(3)
  const env = {
    PATH: process.env.PATH,
    HOME: directory,
    HEARTHLOCK_DATA_DIR: join(directory, 'data'),
    HEARTHLOCK_ROOT_KEY_FILE: join(directory, 'keys', 'root.key'),
    HEARTHLOCK_HTTP_PORT: String(http),
    HEARTHLOCK_MQTT_PORT: String(mqtt),
    HEARTHLOCK_OPS_PORT: String(ops),
    HEARTHLOCK_LOG_LEVEL: 'warn',
  }
  for (const times of [first, second]) {
    const began = performance.now()
    const server = spawn(process.execPath, [BIN, 'start', '--demo'], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await until(server, 'devices are online')
    times.push(performance.now() - began)
    const exited = once(server, 'exit')
    server.kill('SIGINT')
    await exited
  }
  await rm(directory, { recursive: true, force: true })
}
printTable(`first start, ${RUNS} runs (budget: below 10 s to the first event)`, [
  { what: 'empty machine, to four claimed devices online', 'median s': median(first) / 1_000 },
  { what: 'the same data again', 'median s': median(second) / 1_000 },
])
