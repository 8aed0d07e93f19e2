import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** A server's program as it is installed here, or what to install. */
export interface Program {
  name: string
  path: string | undefined
  /** For the title of a test that is skipped without it. */
  needs: string
}

/** Of a Debian package, on the path or where Debian puts servers. */
export function program(name: string, from: { debian: string; also?: string[] }): Program {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const candidates = [...(from.also ?? []), ...folders.map((folder) => join(folder, name))]
  return { name, path: candidates.find(isProgram), needs: `needs Debian's ${from.debian}` }
}

/** Where `.ci/fetch-servers` puts what Debian does not have. */
export function fetchedFolder(): string {
  return process.env.HEARTHLOCK_TEST_SERVERS ?? join(homedir(), '.cache', 'hearthlock', 'test-servers')
}

/** A server that is run by Java, from a folder of jars. */
export interface JavaProgram {
  name: string
  /** The folder of its jars; undefined without it or without Java. */
  folder: string | undefined
  java: string
  needs: string
}

export function javaProgram(name: string): JavaProgram {
  const folder = join(fetchedFolder(), name)
  const java = javaPath()
  const isThere = existsSync(join(folder, 'complete')) && java !== undefined
  return {
    name,
    folder: isThere ? folder : undefined,
    java: java ?? 'java',
    needs: `needs Java and .ci/fetch-servers ${name}`,
  }
}

/** Java 17 before any other: the servers that are fetched are run by it. */
function javaPath(): string | undefined {
  const homes = '/usr/lib/jvm'
  const installed = existsSync(homes) ? readdirSync(homes).filter((each) => /\b17\b/.test(each)) : []
  const candidates = [
    ...installed.map((each) => join(homes, each, 'bin', 'java')),
    ...(process.env.JAVA_HOME ? [join(process.env.JAVA_HOME, 'bin', 'java')] : []),
    ...(process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'java')),
  ]
  return candidates.find(isProgram)
}

export function fetchedProgram(name: string): Program {
  const path = join(fetchedFolder(), name, name)
  return { name, path: isProgram(path) ? path : undefined, needs: `needs .ci/fetch-servers ${name}` }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
