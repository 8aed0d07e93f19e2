import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Clock, Personal, Secret, silentLog } from '../../../src/core/index.ts'
import {
  createIdentity,
  type Identity,
  type IdentityLimits,
  type IdentityOptions,
  identityMigrations,
} from '../../../src/identity/index.ts'
import { createKeys, type Keys, keysMigrations, memoryKeyProvider } from '../../../src/keys/index.ts'
import { createVault, type Vault, vaultMigrations } from '../../../src/vault/index.ts'
import { createTestDatabase } from '../../support/database.ts'

type TestDatabase = Awaited<ReturnType<typeof createTestDatabase>>

export interface Setup {
  url: string
  identity: Identity
  database: TestDatabase
  keys: Keys
  vault: Vault
  /** Moves the time of the server's own checks; the provider's tokens expire by it too. */
  clock: Clock & { advance(seconds: number): void }
  close(): Promise<void>
}

/** So cheap that a test can sign in dozens; the strength of the real cost is tested where it is set. */
const cheap = { memoryKib: 64, passes: 1, lanes: 1 }

const generous = { burst: 10_000, everySeconds: 1 }
const noLimits: Partial<IdentityLimits> = {
  beginPerAddress: generous,
  signInPerAccount: generous,
  signInPerAccountAnywhere: generous,
  signInPerAddress: generous,
  signUpPerAccount: generous,
  signUpPerAddress: generous,
  enrolmentPerAddress: generous,
  signUpAnswerMs: 0,
}

/** Identity with a real database behind a real HTTP server. */
export async function setUp(options: Partial<IdentityOptions> = {}): Promise<Setup> {
  const database = await createTestDatabase([keysMigrations, vaultMigrations, identityMigrations])
  let offsetMs = 0
  const clock = {
    nowMs: () => Date.now() + offsetMs,
    advance: (seconds: number) => {
      offsetMs += seconds * 1000
    },
  }
  const keys = createKeys({ provider: memoryKeyProvider(), database, clock, log: silentLog })
  await keys.start()
  const vault = createVault({ database, keys, clock, log: silentLog })
  let url = ''
  const identity = createIdentity({
    database,
    keys,
    vault,
    clock,
    log: silentLog,
    issuer: () => url,
    passwordCost: cheap,
    ...options,
    limits: { ...noLimits, ...options.limits },
  })
  await identity.start()
  const server = createServer((req, res) => {
    const from = req.headers['x-test-from']
    identity.handleOAuth(req, res, typeof from === 'string' ? { remoteAddress: from } : undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    identity,
    database,
    keys,
    vault,
    clock,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await identity.close()
      await keys.close()
      await database.drop()
    },
  }
}

export const ada = {
  email: new Personal('ada@example.org'),
  name: new Personal('Ada'),
  password: new Secret('correct horse battery'),
}
