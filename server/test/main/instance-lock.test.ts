import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isAppError } from '../../src/core/index.ts'
import { lockDataDirectory } from '../../src/main/instance-lock.ts'

function freshDir(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlock-lock-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'data')
}
const moduleUrl = new URL('../../src/main/instance-lock.ts', import.meta.url).href

/** A process that takes the lock, says so, and keeps it until it is killed. */
async function holder(dataDir: string) {
  const script = `const { lockDataDirectory } = await import(${JSON.stringify(moduleUrl)})
    await lockDataDirectory(${JSON.stringify(dataDir)}).then(() => console.log('held'), (e) => console.log(e.code))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  const kill = async () => {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  return { child, said: said.toString().trim(), kill }
}

describe('the data directory', () => {
  it('is made so that others cannot look into it', async () => {
    const dataDir = freshDir()
    await (await lockDataDirectory(dataDir))()
    expect(statSync(dataDir).mode & 0o777).toBe(process.getuid?.() === 0 ? 0o711 : 0o700)
  })

  it('is refused when others may write to it', async () => {
    const dataDir = freshDir()
    await (await lockDataDirectory(dataDir))()
    chmodSync(dataDir, 0o777)
    await expect(lockDataDirectory(dataDir)).rejects.toSatisfy((e) => isAppError(e, 'start_refused'))
  })

  it('is refused when it is no directory', async () => {
    const path = freshDir()
    writeFileSync(path, '')
    await expect(lockDataDirectory(path)).rejects.toSatisfy((e) => isAppError(e, 'start_refused'))
  })
})

describe('the lock', () => {
  it('refuses a second instance, and names the process and what to do', async () => {
    const dataDir = freshDir()
    const first = await holder(dataDir)
    try {
      expect(first.said).toBe('held')
      await expect(lockDataDirectory(dataDir)).rejects.toThrow(`process ${first.child.pid}`)
      await expect(lockDataDirectory(dataDir)).rejects.toThrow('HEARTHLOCK_DATA_DIR')
    } finally {
      await first.kill()
    }
  })

  it('refuses a second taking by the same process', async () => {
    const dataDir = freshDir()
    const release = await lockDataDirectory(dataDir)
    await expect(lockDataDirectory(dataDir)).rejects.toThrow('already running')
    await release()
  })

  it('can be taken again after its release', async () => {
    const dataDir = freshDir()
    for (let round = 0; round < 3; round++) await (await lockDataDirectory(dataDir))()
    expect(readdirSync(dataDir)).toHaveLength(1)
  })

  it('of a killed process is taken over', async () => {
    const dataDir = freshDir()
    const first = await holder(dataDir)
    await first.kill()
    await (await lockDataDirectory(dataDir))()
  })

  it.runIf(process.platform === 'linux')(
    'of a dead process whose number another one has now is taken over',
    async () => {
      const dataDir = freshDir()
      await (await lockDataDirectory(dataDir))()
      const path = join(dataDir, readdirSync(dataDir)[0] as string)
      writeFileSync(path, JSON.stringify({ pid: process.pid, started: 'another boot/1' }))
      await (await lockDataDirectory(dataDir))()
    },
  )

  it('that a power cut left empty is taken over', async () => {
    const dataDir = freshDir()
    await (await lockDataDirectory(dataDir))()
    writeFileSync(join(dataDir, readdirSync(dataDir)[0] as string), '')
    await (await lockDataDirectory(dataDir))()
  })

  it('of a dead process is taken over by exactly one of many', async () => {
    const dataDir = freshDir()
    const dead = await holder(dataDir)
    await dead.kill()
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDirectory(dataDir)))
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
    const contenders = await Promise.all(Array.from({ length: 4 }, () => holder(dataDir)))
    expect(contenders.every(({ said }) => said === 'start_refused')).toBe(true)
    await Promise.all(contenders.map(({ kill }) => kill()))
  })

  it('tells nothing but the process', async () => {
    const dataDir = freshDir()
    const release = await lockDataDirectory(dataDir)
    const text = readFileSync(join(dataDir, readdirSync(dataDir)[0] as string), 'utf8')
    expect(Object.keys(JSON.parse(text)).sort()).toEqual(['pid', 'started'])
    await release()
  })
})
