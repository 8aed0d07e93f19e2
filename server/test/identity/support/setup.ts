import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type AccountId, type Clock, newId, Personal, Secret, silentLog } from '../../../src/core/index.ts'
import {
  createIdentity,
  type Identity,
  type IdentityLimits,
  type IdentityOptions,
  identityMigrations,
  type NewPerson,
  type PasskeyLink,
} from '../../../src/identity/index.ts'
import { createKeys, type Keys, keysMigrations, memoryKeyProvider } from '../../../src/keys/index.ts'
import { createMail, type Mail, mailMigrations } from '../../../src/mail/index.ts'
import { createVault, type Vault, vaultMigrations } from '../../../src/vault/index.ts'
import { createTestDatabase } from '../../support/database.ts'

type TestDatabase = Awaited<ReturnType<typeof createTestDatabase>>

export interface Setup {
  url: string
  identity: Identity
  database: TestDatabase
  keys: Keys
  vault: Vault
  mail: Mail
  /** The newest letter, as an operator without a mail server reads it. */
  lastLetter(): Promise<{ kind: string; to: string; text: string; code: Secret }>
  /** Signs up and confirms the address, as whoever reads its letters. Without a password: the link for the passkey. */
  join(person: NewPerson): Promise<PasskeyLink | undefined>
  /** Accounts that were told to be held back, with the end; 0 ends it. */
  held: { accountId: string; untilMs: number }[]
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
  recoveryPerAccount: generous,
  recoveryPerAccountAnywhere: generous,
  recoveryPerAddress: generous,
  codePerAccount: generous,
  codePerAddress: generous,
  mailPerAccount: generous,
  letterPerAddressee: generous,
  signUpPerAccountAnywhere: generous,
  signUpAnswerMs: 0,
}

/** Identity with a real database behind a real HTTP server. */
type Options = Partial<Omit<IdentityOptions, 'sendLetter' | 'holds'>>

export async function setUp(options: Options = {}): Promise<Setup> {
  const database = await createTestDatabase([
    keysMigrations,
    vaultMigrations,
    mailMigrations,
    identityMigrations,
  ])
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
  const mail = createMail({ database, keys, vault, clock, log: silentLog })
  const held: Setup['held'] = []
  let url = ''
  const identity = createIdentity({
    database,
    keys,
    vault,
    clock,
    log: silentLog,
    issuer: () => url,
    passwordCost: cheap,
    sendLetter: mail.enqueue,
    holds: {
      begin: async (_tx, accountId, untilMs) => void held.push({ accountId, untilMs }),
      end: async (_tx, accountId) => void held.push({ accountId, untilMs: 0 }),
    },
    ...options,
    limits: { ...noLimits, ...options.limits },
  })
  await identity.start()
  const server = createServer((req, res) => {
    if (req.url === '/nonce') {
      res.end(identity.dpopNonce())
      return
    }
    const from = req.headers['x-test-from']
    identity.handleOAuth(req, res, typeof from === 'string' ? { remoteAddress: from } : undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  async function lastLetter() {
    const [newest] = await mail.waiting()
    const { kind, to, text } = await mail.show(newest?.letterId ?? '', newId<AccountId>())
    const code = new Secret(/[0-9A-Z]{5}-[0-9A-Z]{5}/.exec(text.reveal())?.[0] ?? '')
    return { kind, to: to.reveal(), text: text.reveal(), code }
  }
  return {
    url,
    identity,
    database,
    keys,
    vault,
    mail,
    held,
    lastLetter,
    async join(person) {
      const { signUpId } = await identity.signUp(person)
      const { code } = await lastLetter()
      return await identity.confirmSignUp({ signUpId, code, remoteAddress: undefined })
    },
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
