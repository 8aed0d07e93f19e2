import type { Catalogue } from '../insight/index.ts'
import type { Config, ConfigFlags } from './config.ts'
import type { RunningDatabase } from './running-database.ts'
import type { RunningServer, StartOptions } from './server.ts'

export { type ClientConfig, readClientConfig } from './client-config.ts'
export type { Catalogue, Config, RunningDatabase, RunningServer, StartOptions }

// Loaded when called: commands that only speak to a server need not load one.

/** See config.ts. */
export async function readConfig(
  env: Record<string, string | undefined>,
  flags?: ConfigFlags,
): Promise<Config> {
  return (await import('./config.ts')).readConfig(env, flags)
}

/** See server.ts. */
export async function startServer(config: Config, options?: StartOptions): Promise<RunningServer> {
  return (await import('./server.ts')).startServer(config, options)
}

/** See catalogue.ts. */
export async function fieldCatalogue(clusters?: readonly string[]): Promise<Catalogue> {
  return (await import('./catalogue.ts')).fieldCatalogue(clusters)
}

/** See running-database.ts. */
export async function openRunningDatabase(config: Config): Promise<RunningDatabase> {
  return (await import('./running-database.ts')).openRunningDatabase(config)
}
