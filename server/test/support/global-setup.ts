import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { createLog, Secret } from '../../src/core/index.ts'
import { createEmbeddedPostgres } from '../../src/embedded/index.ts'

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string
  }
}

/** One real PostgreSQL for the whole run: the embedded one, or the server that HEARTHLOCK_TEST_DATABASE_URL names. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const url = process.env.HEARTHLOCK_TEST_DATABASE_URL
  if (url) {
    project.provide('postgresUrl', url)
    return async () => {}
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'hearthlock-test-'))
  const password = new Secret(randomBytes(24).toString('hex'))
  const embedded = createEmbeddedPostgres({ dataDir, password, log: createLog({ level: 'warn' }) })
  const { host, user, database } = await embedded.start()
  project.provide(
    'postgresUrl',
    `postgres://${user}:${password.reveal()}@/${database}?host=${encodeURIComponent(host)}`,
  )
  return async () => {
    await embedded.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}
