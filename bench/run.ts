/** All benchmarks, one after the other: `npm run bench`. Each also runs alone; docs/performance.md says how. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

for (const name of ['first-start', 'command', 'transfer', 'reset', 'guard', 'gateway', 'ingest']) {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url))
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'inherit', 'inherit'] })
  const [code] = await once(child, 'exit')
  if (code !== 0) {
    console.error(`the benchmark ${name} did not finish`)
    process.exitCode = 1
  }
}
