import { type Client, createClient, fileSessionStore } from '../client/index.ts'
import type { Clock } from '../core/index.ts'
import type { ClientConfig } from '../main/index.ts'
import type { Terminal } from './terminal.ts'

/** What every command is given. */
export interface CliContext {
  terminal: Terminal
  env: NodeJS.ProcessEnv
  config: ClientConfig
  clock: Clock
  /** Ends long-running commands: Ctrl-C, or a test. */
  signal: AbortSignal
  /** Customers and operators are signed in apart from each other. */
  as(kind: 'customer' | 'operator'): Client
  /** The one that was asked for last: whom an advice to sign in is for. */
  lastAs(): 'customer' | 'operator'
}

export function createContext(given: Omit<CliContext, 'as' | 'lastAs'>): CliContext {
  let last: 'customer' | 'operator' = 'customer'
  return {
    ...given,
    as(kind) {
      last = kind
      return createClient({
        baseUrl: given.config.url,
        store: fileSessionStore(given.config.sessionFile[kind]),
        clock: given.clock,
      })
    },
    lastAs: () => last,
  }
}
