/**
 * A device's event from the socket to the disk: authenticated, checked against its model, sealed, committed,
 * acknowledged, on the embedded default, with its readers at work. The load generator shares the same cores.
 *
 *   node bench/ingest.ts [--seconds 5] [--repeat 3] [--connections 200,2000]
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createBenchInstallation } from './support/fleet.ts'
import { runLoad } from './support/mqtt-load.ts'
import { median, printTable } from './support/table.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    repeat: { type: 'string', default: '3' },
    connections: { type: 'string', default: '200,2000' },
    inFlight: { type: 'string', default: '1,10' },
  },
})
const counts = options.connections.split(',').map(Number)
const windows = options.inFlight.split(',').map(Number)
const BUDGET = { plain: 25_000, tls: 15_000 }
/** What the devices are asked to say: two attributes of the bulb that they are. */
const PAYLOAD = '{"OnOff.OnOff":true,"LevelControl.CurrentLevel":128}'

const at = await createBenchInstallation(Math.max(...counts))
try {
  const caFile = join(at.directory, 'authority.pem')
  const devicesFile = join(at.directory, 'devices.json')
  await writeFile(caFile, at.authorityPem)
  await writeFile(devicesFile, JSON.stringify(at.devices), { mode: 0o600 })
  await at.start()
  const rows: Record<string, string | number>[] = []
  for (const door of ['plain', 'tls'] as const) {
    for (const connections of counts) {
      for (const inFlight of windows) {
        const runs = []
        for (let run = 0; run < Number(options.repeat); run += 1) {
          const result = await runLoad({
            port: door === 'plain' ? at.plainPort : at.mqttPort,
            ...(door === 'tls' ? { caFile } : {}),
            connections,
            inFlight,
            seconds: Number(options.seconds),
            devicesFile,
            payload: PAYLOAD,
          })
          if (result.refused > 0 || result.lost > 0) {
            throw new Error(`${result.refused} refused, ${result.lost} lost: not a measurement`)
          }
          runs.push(result)
        }
        const perSecond = median(runs.map((run) => run.acksPerSecond))
        rows.push({
          door,
          connections,
          'in flight each': inFlight,
          'acknowledged/s': perSecond,
          'of budget': `${(perSecond / BUDGET[door]).toFixed(2)}×`,
          'p50 ms': median(runs.map((run) => run.latencyMs.p50)),
          'p99 ms': median(runs.map((run) => run.latencyMs.p99)),
          'readers behind': await readersBehind(at.opsUrl),
        })
      }
    }
  }
  printTable('durable ingest, embedded PostgreSQL, sealed and committed before PUBACK', rows)
} finally {
  await at.dispose()
}

/** Records that the readers had not taken up yet when the load ended. */
async function readersBehind(opsUrl: string): Promise<number> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  return Number(/^hearthlock_stream_reader_home_lag (\S+)/m.exec(text)?.[1] ?? Number.NaN)
}
