import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { settle } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

function has(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`])
    return true
  } catch {
    return false
  }
}

function switchOff(group: number): void {
  try {
    process.kill(-group, 'SIGTERM')
  } catch (error) {
    // None is left.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** docs/tenures.md, run as it stands: only the port is this installation's. */
describe('the guide to tenures', () => {
  let at: Installation
  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await settle(at, 'Home')
  }, 120_000)
  afterAll(() => at.dispose())

  it.skipIf(!has('mosquitto_pub') || !has('openssl'))(
    'every shell command works (needs mosquitto-clients, openssl)',
    { timeout: 120_000 },
    async () => {
      const guide = await readFile(join(ROOT, 'docs/tenures.md'), 'utf8')
      const blocks = [...guide.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? '')
      const work = await mkdtemp(join(at.directory, 'guide-'))
      await symlink(join(ROOT, 'server'), join(work, 'server'))
      const script = ['set -e', ...blocks].join('\n').replaceAll('PORT=8883', `PORT=${at.mqttPort}`)
      await writeFile(join(work, 'guide.sh'), script)
      const bin = join(ROOT, 'node_modules', '.bin')
      // `npx hearthlock` in the checkout is this very command.
      const npx = `#!/bin/sh\nshift\nexec ${bin}/node ${ROOT}server/bin/hearthlock.js "$@"\n`
      await writeFile(join(work, 'npx'), npx, { mode: 0o755 })
      const env = { ...at.env, PATH: `${work}:${bin}:${process.env.PATH}` }
      const child = spawn('bash', ['guide.sh'], {
        cwd: work,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      })
      let printed = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed += chunk))
      const [code] = await once(child, 'exit')
      // Whatever of the device is still switched on.
      switchOff(child.pid as number)
      expect(code, printed).toBe(0)
      expect(printed).toContain('went over to another home')
      expect(printed).toContain('Destroyed.')
      expect(printed).toContain('has just been reset')
    },
  )
})
