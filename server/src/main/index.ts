import type { Config } from './config.ts'
import type { RunningServer, StartOptions } from './server.ts'

export { type ClientConfig, readClientConfig } from './client-config.ts'
export { type Config, readConfig } from './config.ts'
export type { RunningServer, StartOptions }

/** See server.ts. Loaded when called: commands that only speak to a server need not load one. */
export async function startServer(config: Config, options?: StartOptions): Promise<RunningServer> {
  return (await import('./server.ts')).startServer(config, options)
}
