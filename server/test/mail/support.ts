import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { type AccountId, type Clock, newId, Personal, Secret, silentLog } from '../../src/core/index.ts'
import { createKeys, type Keys, keysMigrations, memoryKeyProvider } from '../../src/keys/index.ts'
import { createMail, type Mail, type MailOptions, mailMigrations } from '../../src/mail/index.ts'
import { createVault, type Vault, vaultMigrations } from '../../src/vault/index.ts'
import { createTestDatabase } from '../support/database.ts'

export interface Received {
  from: string
  to: string[]
  source: string
}

export interface Postbox {
  port: number
  letters: Received[]
  /** As `smtp://127.0.0.1:port`, with TLS `smtps`. */
  url(credentials?: string): Secret
  /** Ends every connection without a word. */
  cut(): void
  close(): Promise<void>
}

/** A real SMTP server on loopback that keeps what it is given. */
export async function startPostbox(options: SMTPServerOptions = {}): Promise<Postbox> {
  const letters: Received[] = []
  const server = new SMTPServer({
    disabledCommands: options.onAuth ? [] : ['AUTH'],
    disableReverseLookup: true,
    logger: false,
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        letters.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          source: Buffer.concat(chunks).toString(),
        })
        done()
      })
    },
    ...options,
  })
  server.on('error', () => {})
  const sockets = new Set<Socket>()
  server.server.on('connection', (socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo
  return {
    port,
    letters,
    url: (credentials = '') =>
      new Secret(
        `${options.secure ? 'smtps' : 'smtp'}://${credentials && `${credentials}@`}127.0.0.1:${port}`,
      ),
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

export interface MailWorld {
  database: Awaited<ReturnType<typeof createTestDatabase>>
  keys: Keys
  vault: Vault
  clock: Clock & { advance(seconds: number): void }
  /** One more node on the same outbox. */
  node(options?: Partial<MailOptions>): Promise<Mail>
  person(email: string): Promise<AccountId>
  close(): Promise<void>
}

export async function createMailWorld(): Promise<MailWorld> {
  const database = await createTestDatabase([keysMigrations, vaultMigrations, mailMigrations])
  let offsetMs = 0
  const clock = {
    nowMs: () => Date.now() + offsetMs,
    advance: (seconds: number) => {
      offsetMs += seconds * 1000
    },
  }
  const common = { database, clock, log: silentLog }
  const keys = createKeys({ ...common, provider: memoryKeyProvider() })
  await keys.start()
  const vault = createVault({ ...common, keys })
  const nodes: Mail[] = []
  return {
    database,
    keys,
    vault,
    clock,
    async node(options = {}) {
      const mail = createMail({ ...common, keys, vault, pollMs: 5, ...options })
      await mail.start()
      nodes.push(mail)
      return mail
    },
    async person(email) {
      const accountId = newId<AccountId>()
      await database.transaction((tx) =>
        vault.add(tx, {
          accountId,
          kind: 'customer',
          email: new Personal(email),
          name: new Personal('Ada'),
        }),
      )
      return accountId
    },
    async close() {
      await Promise.all(nodes.map((mail) => mail.close()))
      await keys.close()
      await database.drop()
    },
  }
}
