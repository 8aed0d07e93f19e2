import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { claim, provision, settle } from '../support/household.ts'
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

/** docs/devices.md, run as it stands: only the port is this installation's. */
describe('the guide for devices', () => {
  let at: Installation
  let guide: string

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await settle(at, 'Home')
    guide = await readFile(join(ROOT, 'docs/devices.md'), 'utf8')
  }, 120_000)

  afterAll(() => at.dispose())

  function blocks(language: string): string[] {
    return [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'gm'))].map(
      (match) => match[1] ?? '',
    )
  }

  it.skipIf(!has('mosquitto_pub') || !has('openssl'))(
    'every shell command works with the ordinary MQTT clients, over 3.1.1 and 5 (needs mosquitto-clients, openssl)',
    { timeout: 120_000 },
    async () => {
      const work = await mkdtemp(join(at.directory, 'guide-'))
      await symlink(join(ROOT, 'server'), join(work, 'server'))
      const script = ['set -e', ...blocks('sh')].join('\n').replaceAll('PORT=8883', `PORT=${at.mqttPort}`)
      const file = join(work, 'guide.sh')
      await writeFile(file, script)
      const bin = join(ROOT, 'node_modules', '.bin')
      // `npx hearthlock` in the checkout is this very command.
      await writeFile(
        join(work, 'npx'),
        `#!/bin/sh\nshift\nexec ${bin}/node ${ROOT}server/bin/hearthlock.js "$@"\n`,
        {
          mode: 0o755,
        },
      )
      const env = { ...at.env, PATH: `${work}:${bin}:${process.env.PATH}` }
      const child = spawn('bash', [file], { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'] })
      let printed = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed += chunk))
      const [code] = await once(child, 'close')
      expect(code, printed).toBe(0)
      expect(printed).toContain('"command":"OnOff.On"')
      expect(printed).toMatch(/command +event="result".*status="SUCCESS"/)
    },
  )

  it('the JavaScript example reports and obeys', { timeout: 60_000 }, async () => {
    const [bulb] = await provision(at, 'hearth-bulb', 1)
    if (!bulb) throw new Error('no bulb')
    // Beside the packages, so that it finds `mqtt` as it would in the reader's own project.
    const file = join(at.directory, 'device.mjs')
    await writeFile(file, blocks('js')[0] ?? '')
    await symlink(join(ROOT, 'node_modules'), join(at.directory, 'node_modules'))
    const device = spawn(process.execPath, [file, bulb.folder, '127.0.0.1', String(at.mqttPort)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    device.stdout.on('data', (chunk) => (printed += chunk))
    try {
      await vi.waitFor(() => expect(printed).toContain('ready'), { timeout: 20_000 })
      await claim(at, bulb, 'Script')
      const { stdout } = await at.cli(['on', 'Script'])
      expect(stdout).toContain('done')
      expect(printed).toContain('asked to OnOff.On')
      expect((await at.cli(['devices'])).stdout).toContain('OnOff.OnOff=true')
    } finally {
      device.kill()
    }
  })
})
