import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '../core/index.ts'
import type { EmbeddedConnection } from './prepare.ts'
import { DATABASE, ROLE } from './settings.ts'

export interface RunningPostgres {
  connection: EmbeddedConnection
  pid: number
  /** Where its files lie. */
  clusterDir: string
}

/** The embedded server that another process of ours runs on this data directory; undefined when there is none. */
export async function findRunningPostgres(o: {
  dataDir: string
  password: Secret
}): Promise<RunningPostgres | undefined> {
  const clusterDir = join(o.dataDir, 'postgres')
  const text = await readFile(join(clusterDir, 'postmaster.pid'), 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    },
  )
  if (text === undefined) return undefined
  // PostgreSQL's lock file, a line each: process, directory, start, port, socket directory.
  const [pid, , , port, host = ''] = text.split('\n')
  return {
    connection: { host, port: Number(port), user: ROLE, database: DATABASE, password: o.password.reveal() },
    pid: Number(pid),
    clusterDir,
  }
}
