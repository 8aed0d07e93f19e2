import { isIP } from 'node:net'
import { sql } from 'kysely'
import { AppError, type Clock, type Database, type Log, Secret } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { RegistryTables } from './tables.ts'
import { type Identity, type Issuer, newAuthority, newKeyPair, openIssuer } from './x509.ts'

const AUTHORITY_PLACE = place('registry.authority.private_key')
const SERVER_PLACE = place('registry.server_identity.private_key')
const DAY_MS = 86_400_000
const SERVER_VALID_DAYS = 397
const RENEW_BEFORE_DAYS = 90
const MAX_HOSTNAMES = 20

export interface Authority {
  start(): Promise<void>
  certificatePem(): string
  issuer(): Issuer
  serverIdentity(hostnames: string[]): Promise<{ certificatePem: string; privateKeyPem: Secret }>
}

/**
 * The maker's device authority, one for each installation. Private keys rest sealed under a purpose key. Both the
 * authority and the server's certificate are made under a table lock: processes that start at once get the same.
 */
export function createAuthority(deps: { database: Database; keys: Keys; clock: Clock; log: Log }): Authority {
  const { database, keys, clock, log } = deps
  const sealing = keys.purpose('registry.authority')
  let opened: { certificatePem: string; issuer: Issuer } | undefined

  function current() {
    if (!opened) throw new AppError('unavailable', { detail: 'the device authority is not open yet' })
    return opened
  }

  async function readOrMake(): Promise<Identity> {
    return database.transaction(async (transaction) => {
      const tx = transaction.withTables<RegistryTables>()
      await sql`lock table registry.authority in exclusive mode`.execute(tx)
      const row = await tx.selectFrom('registry.authority').selectAll().executeTakeFirst()
      if (row) {
        const privateKeyPem = sealing.unseal(AUTHORITY_PLACE, row.private_key).toString()
        return { certificatePem: row.certificate_pem, privateKeyPem }
      }
      const made = await newAuthority(clock.nowMs())
      await tx
        .insertInto('registry.authority')
        .values({
          singleton: true,
          certificate_pem: made.certificatePem,
          private_key: sealing.seal(AUTHORITY_PLACE, made.privateKeyPem),
        })
        .execute()
      log.info('made the device authority')
      return made
    })
  }

  return {
    async start() {
      const identity = await readOrMake()
      opened = { certificatePem: identity.certificatePem, issuer: await openIssuer(identity) }
    },

    certificatePem: () => current().certificatePem,
    issuer: () => current().issuer,

    async serverIdentity(hostnames) {
      const { issuer } = current()
      const names = canonicalHostnames(hostnames)
      return database.transaction(async (transaction) => {
        const tx = transaction.withTables<RegistryTables>()
        await sql`lock table registry.server_identity in exclusive mode`.execute(tx)
        const row = await tx.selectFrom('registry.server_identity').selectAll().executeTakeFirst()
        const nowMs = clock.nowMs()
        if (
          row &&
          sameNames(row.hostnames, names) &&
          row.not_after.getTime() - nowMs > RENEW_BEFORE_DAYS * DAY_MS
        ) {
          const privateKeyPem = sealing.unseal(SERVER_PLACE, row.private_key).toString()
          return { certificatePem: row.certificate_pem, privateKeyPem: new Secret(privateKeyPem) }
        }
        const { publicKey, privateKeyPem } = await newKeyPair()
        const notAfterMs = nowMs + SERVER_VALID_DAYS * DAY_MS
        const certificatePem = await issuer.issueServer(names, publicKey, nowMs, notAfterMs)
        const values = {
          hostnames: names,
          certificate_pem: certificatePem,
          private_key: sealing.seal(SERVER_PLACE, privateKeyPem),
          not_after: new Date(notAfterMs),
        }
        await tx
          .insertInto('registry.server_identity')
          .values({ singleton: true, ...values })
          .onConflict((conflict) => conflict.column('singleton').doUpdateSet(values))
          .execute()
        log.info('made a certificate for the device listener', { names: names.length })
        return { certificatePem, privateKeyPem: new Secret(privateKeyPem) }
      })
    },
  }
}

function canonicalHostnames(hostnames: string[]): string[] {
  const names = [...new Set(hostnames.map((name) => name.toLowerCase()))].sort()
  if (names.length < 1 || names.length > MAX_HOSTNAMES || !names.every(isHostname)) {
    throw new AppError('invalid_request', {
      message: `Expected 1..${MAX_HOSTNAMES} host names or IP addresses for the device listener.`,
    })
  }
  return names
}

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

function isHostname(name: string): boolean {
  return isIP(name) !== 0 || (name.length <= 253 && name.split('.').every((label) => LABEL.test(label)))
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, at) => name === b[at])
}
