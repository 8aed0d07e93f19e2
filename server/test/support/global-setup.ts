import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string
  }
}

/** One real PostgreSQL for the whole run: the embedded one, or the server that HEARTHLOCK_TEST_DATABASE_URL names. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const url = process.env.HEARTHLOCK_TEST_DATABASE_URL
  if (!url) throw new Error('HEARTHLOCK_TEST_DATABASE_URL is not set')
  project.provide('postgresUrl', url)
  return async () => {}
}
