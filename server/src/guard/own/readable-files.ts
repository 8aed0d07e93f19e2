import { lstat, readdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Observed } from '../watched.ts'

const OTHERS_READ = 0o004
const OTHERS_ENTER = 0o001
const ANYBODY_ELSE = 0o077
const MAX_FILES = 20_000
const SHOWN = 5

/** Which files of ours every user of this machine may read, by the rights of each file and of every folder above it. */
export async function lookAtFiles(o: {
  /** With all that is below them. */
  directories: readonly string[]
  rootKeyFile: string
  /** Below them, and nobody's data: programs, settings. */
  except: readonly string[]
}): Promise<Observed[]> {
  const readable: string[] = []
  const mode = await modeOf(o.rootKeyFile)
  if (mode !== undefined && mode & ANYBODY_ELSE) readable.push(o.rootKeyFile)
  let looked = 0
  const folders: string[] = []
  for (const directory of o.directories) if (await isReachable(directory)) folders.push(directory)
  for (const folder of folders) {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name)
      if (++looked > MAX_FILES) break
      if (o.except.includes(path)) continue
      const rights = (await modeOf(path)) ?? 0
      if (entry.isDirectory() && rights & OTHERS_ENTER) folders.push(path)
      if (entry.isFile() && rights & OTHERS_READ) readable.push(path)
    }
  }
  const protocol = 'file'
  const found = [...new Set(readable)]
  if (found.length === 0) {
    return [{ verdict: 'protected', protocol, evidence: 'no file is readable for other users' }]
  }
  const named = found.slice(0, SHOWN).join(', ')
  return [
    {
      verdict: 'open',
      finding: 'file',
      protocol,
      evidence: `${found.length} readable for other users of the machine: ${named}`,
    },
  ]
}

async function modeOf(path: string): Promise<number | undefined> {
  return (await lstat(path).catch(() => undefined))?.mode
}

/** Whether other users can enter a folder: it, and all above it. */
async function isReachable(path: string): Promise<boolean> {
  let folder = await realpath(path).catch(() => undefined)
  while (folder !== undefined) {
    const mode = (await modeOf(folder)) ?? 0
    if (!(mode & OTHERS_ENTER)) return false
    const above = dirname(folder)
    folder = above === folder ? undefined : above
  }
  return true
}
