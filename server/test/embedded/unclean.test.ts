import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { createLog } from '../../src/core/index.ts'
import { clusterTemplate, embeddedOn, isAlive, query, supervisorProcess } from './support.ts'

const dataDirWithCluster = clusterTemplate()
const patient = { timeout: 25_000, interval: 50 }

describe('when PostgreSQL is killed while we run', () => {
  it('it is started again with everything that was acknowledged, each time', async () => {
    const lines: string[] = []
    const log = createLog({ destination: { write: (line) => lines.push(line) } })
    const embedded = embeddedOn(await dataDirWithCluster(), { log })
    const connection = await embedded.start()
    await query(connection, 'create table kept (value int)')
    for (const round of [1, 2]) {
      await query(connection, 'insert into kept values ($1)', [round])
      process.kill(embedded.pid() as number, 'SIGKILL')
      await vi.waitFor(() => expect(embedded.stats().embedded_database_restarts).toBe(round), patient)
      expect(await query(connection, 'select count(*)::int as n from kept')).toEqual([{ n: round }])
    }
    expect(lines.join('')).toContain('the database server ended unexpectedly; restarting it')
    expect(lines.join('')).toContain('SIGKILL')
    expect(lines.join('')).toContain('the database server is back')
  })

  it('and we are closed at that moment, nothing stays behind', async () => {
    const dataDir = await dataDirWithCluster()
    const embedded = embeddedOn(dataDir)
    const connection = await embedded.start()
    process.kill(embedded.pid() as number, 'SIGKILL')
    await embedded.close()
    await expect(query(connection, 'select 1')).rejects.toThrow()
    expect(embedded.pid()).toBeUndefined()
  })
})

describe('when we are killed', () => {
  it('the next start stops the server that was left behind and finds all that was acknowledged', async () => {
    const dataDir = await dataDirWithCluster()
    const killed = await supervisorProcess(dataDir)
    await query(killed.connection, 'create table kept as select 42 as value')
    await killed.kill()
    expect(isAlive(killed.postmasterPid)).toBe(true)
    const progress: string[] = []
    const embedded = embeddedOn(dataDir, { onProgress: (what) => progress.push(what) })
    expect(await query(await embedded.start(), 'select value from kept')).toEqual([{ value: 42 }])
    expect(isAlive(killed.postmasterPid)).toBe(false)
    expect(embedded.pid()).not.toBe(killed.postmasterPid)
    expect(progress).toContain('stopping a database server left over from an unclean stop')
  })

  it('and PostgreSQL as well, the next start recovers', async () => {
    const dataDir = await dataDirWithCluster()
    const killed = await supervisorProcess(dataDir)
    await query(killed.connection, 'create table kept as select 42 as value')
    await killed.kill()
    process.kill(killed.postmasterPid, 'SIGKILL')
    const embedded = embeddedOn(dataDir)
    expect(await query(await embedded.start(), 'select value from kept')).toEqual([{ value: 42 }])
  })
})

describe('a pid file', () => {
  it('whose number a stranger has now neither stops the stranger nor the start', async () => {
    const dataDir = await dataDirWithCluster()
    const first = embeddedOn(dataDir)
    await first.start()
    const pidFile = join(dataDir, 'postgres', 'postmaster.pid')
    const text = readFileSync(pidFile, 'utf8')
    await first.close()
    const stranger = spawn('sleep', ['60'])
    try {
      writeFileSync(pidFile, text.replace(/^\d+/, String(stranger.pid)))
      await embeddedOn(dataDir).start()
      expect(isAlive(stranger.pid as number)).toBe(true)
    } finally {
      stranger.kill('SIGKILL')
    }
  })

  it('of a server on another data directory is not taken for ours', async () => {
    const [ours, theirs] = [await dataDirWithCluster(), await dataDirWithCluster()]
    const first = embeddedOn(ours)
    await first.start()
    const pidFile = join(ours, 'postgres', 'postmaster.pid')
    const text = readFileSync(pidFile, 'utf8')
    await first.close()
    const other = embeddedOn(theirs)
    await other.start()
    writeFileSync(pidFile, text.replace(/^\d+/, String(other.pid())))
    await embeddedOn(ours).start()
    expect(isAlive(other.pid() as number)).toBe(true)
  })

  it('of a server that may be ours, but cannot be told, refuses the start', async () => {
    const dataDir = await dataDirWithCluster()
    const first = embeddedOn(dataDir)
    await first.start()
    await first.close()
    const impostor = spawn('sleep', ['60'], { argv0: 'postgres' })
    try {
      await once(impostor, 'spawn')
      writeFileSync(join(dataDir, 'postgres', 'postmaster.pid'), `${impostor.pid}\n`)
      await expect(embeddedOn(dataDir).start()).rejects.toThrow(`Process ${impostor.pid}`)
      expect(isAlive(impostor.pid as number)).toBe(true)
    } finally {
      impostor.kill('SIGKILL')
    }
    expect(existsSync(dataDir)).toBe(true)
  })
})

it('a start that is closed half-way leaves no server behind', async () => {
  const dataDir = await dataDirWithCluster()
  const pidFile = join(dataDir, 'postgres', 'postmaster.pid')
  const embedded = embeddedOn(dataDir)
  const started = embedded.start().catch(() => 'refused')
  await vi.waitFor(() => expect(existsSync(pidFile)).toBe(true), { timeout: 10_000, interval: 1 })
  await embedded.close()
  await started
  expect(embedded.pid()).toBeUndefined()
  expect(existsSync(pidFile)).toBe(false)
})

it('Ctrl-C in our terminal does not reach the server: it has a session of its own', async () => {
  const embedded = embeddedOn(await dataDirWithCluster())
  await embedded.start()
  if (process.platform !== 'linux') return
  const fields = readFileSync(`/proc/${embedded.pid()}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  const [, , processGroup, session] = fields
  expect(processGroup).toBe(String(embedded.pid()))
  expect(session).toBe(String(embedded.pid()))
})
