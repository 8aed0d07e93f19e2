import { homedir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../core/index.ts'

/** What the `hearthlock` command needs to know of its surroundings when it speaks to a server. */
export interface ClientConfig {
  /** The server's public URL. */
  url: string
  /** Where this person's sessions are kept, mode 0600. */
  sessionFile: { customer: string; operator: string }
  /** Where this machine's own passkeys are kept, encrypted, mode 0600. */
  passkeyFile: { customer: string; operator: string }
  /** Where the demonstration keeps what would be in people's phones and in the devices: never beside the data. */
  demoDir: string
}

/** @throws AppError invalid_request */
export function readClientConfig(env: NodeJS.ProcessEnv): ClientConfig {
  const home = join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'hearthlock')
  const sessions = env.HEARTHLOCK_SESSION_DIR || home
  return {
    url: urlOf(env.HEARTHLOCK_URL || 'http://localhost:8080'),
    sessionFile: { customer: join(sessions, 'customer.json'), operator: join(sessions, 'operator.json') },
    passkeyFile: {
      customer: join(sessions, 'customer-passkey.json'),
      operator: join(sessions, 'operator-passkey.json'),
    },
    demoDir: env.HEARTHLOCK_DEMO_DIR || join(home, 'demo'),
  }
}

function urlOf(text: string): string {
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? '')) return text
  throw new AppError('invalid_request', {
    message: 'HEARTHLOCK_URL is not the address of a server. Example: https://home.maker.example',
  })
}
