import { randomBytes, timingSafeEqual } from 'node:crypto'
import { Secret as OtpSecret, TOTP } from 'otpauth'
import { type AccountId, AppError, type Clock, type Database, Secret, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Vault } from '../vault/index.ts'
import { evenLength } from './even-length.ts'
import type { SecondFactorFace } from './face.ts'
import type { IdentityTables } from './tables.ts'
import { newTypedCode, normaliseTypedCode } from './typed-code.ts'

export interface SecondFactor extends SecondFactorFace {
  isOn(accountId: AccountId): Promise<boolean>
  /**
   * Counts a wrong code as a try, and uses a right one up: the app's by its time, a recovery code for ever.
   * @throws AppError second_factor_needed: missing or wrong; rate_limited
   */
  check(accountId: AccountId, code: Secret | undefined, o?: { onlyIfBeforeMs: number }): Promise<void>
  /** What was set up at that time or later. */
  removeSince(tx: Tx, accountId: AccountId, sinceMs: number): Promise<void>
}

interface Content {
  /** base32 */
  secret: string
  addedAtMs: number
  confirmed: boolean
  /** The step of RFC 6238 section 4.2 whose code was used last: no code works twice, and none before it. */
  lastStep: number
  recovery: string[]
  /** A bucket of tries, in the row: it holds for all processes together, and over restarts. */
  tries: number
  triesAtMs: number
}

const PERIOD_SECONDS = 30
/** RFC 6238 section 5.2: one step to either side, for clocks and slow fingers. */
const WINDOW = 1
const SECRET_BYTES = 20
const SETUP_MS = 15 * 60_000
const RECOVERY_CODES = 10
const RECOVERY_GROUPS = 2
const TRIES = 5
/** Three of a million codes are right at a time: so slow, guessing for a year has a chance of one in four. */
const TRY_EVERY_MS = 300_000
const STEP = 1024

export function createSecondFactor(o: {
  database: Database
  keys: Keys
  clock: Clock
  vault: Vault
}): SecondFactor {
  const sealing = o.keys.purpose('identity.second-factor.seal')
  const digesting = o.keys.purpose('identity.second-factor.digest')
  const rows = (tx?: Tx) => (tx ?? o.database.queries).withTables<IdentityTables>()
  const where = (accountId: AccountId) => place('identity.second_factor', accountId)
  const open = (accountId: AccountId, sealed: Buffer) =>
    JSON.parse(sealing.unseal(where(accountId), sealed).toString()) as Content
  const digestLabel = (accountId: AccountId, code: Secret) => place(accountId, normaliseTypedCode(code))

  async function read(accountId: AccountId): Promise<Content | undefined> {
    const row = await rows()
      .selectFrom('identity.second_factor')
      .select('sealed')
      .where('account_id', '=', accountId)
      .executeTakeFirst()
    return row && open(accountId, row.sealed)
  }
  async function write(tx: Tx, accountId: AccountId, content: Content): Promise<void> {
    const sealed = sealing.seal(where(accountId), evenLength(content, STEP))
    await rows(tx)
      .insertInto('identity.second_factor')
      .values({ account_id: accountId, sealed })
      .onConflict((conflict) => conflict.column('account_id').doUpdateSet({ sealed }))
      .execute()
  }
  async function erase(tx: Tx, accountId: AccountId): Promise<void> {
    await rows(tx).deleteFrom('identity.second_factor').where('account_id', '=', accountId).execute()
  }
  /** Under a lock: of two who use one code at once, the second finds it used. */
  async function locked(tx: Tx, accountId: AccountId): Promise<Content | undefined> {
    const row = await rows(tx)
      .selectFrom('identity.second_factor')
      .select('sealed')
      .where('account_id', '=', accountId)
      .forUpdate()
      .executeTakeFirst()
    return row && open(accountId, row.sealed)
  }

  /** The content after a right code; `undefined` when it is wrong or was used. */
  function accept(accountId: AccountId, content: Content, code: Secret): Content | undefined {
    const token = code.reveal().replaceAll(/\s/g, '')
    if (/^\d{6}$/.test(token)) {
      const nowMs = o.clock.nowMs()
      const delta = totpOf(content.secret).validate({ token, timestamp: nowMs, window: WINDOW })
      const step = Math.floor(nowMs / 1000 / PERIOD_SECONDS) + (delta ?? 0)
      return delta !== null && step > content.lastStep ? { ...content, lastStep: step } : undefined
    }
    const digests = digesting.digests(digestLabel(accountId, code))
    const matches = (kept: string) =>
      digests.some((digest) => timingSafeEqual(digest, Buffer.from(kept, 'base64')))
    const recovery = content.recovery.filter((kept) => !matches(kept))
    return content.confirmed && recovery.length < content.recovery.length
      ? { ...content, recovery }
      : undefined
  }

  /** Tries a code. `then` gets the content after a right one, in the same transaction. */
  async function attempt(
    accountId: AccountId,
    code: Secret,
    then: (tx: Tx, content: Content) => Promise<void>,
  ): Promise<'right' | 'wrong' | 'none'> {
    return await o.database.transaction(async (tx) => {
      const content = await locked(tx, accountId)
      if (!content) return 'none'
      const nowMs = o.clock.nowMs()
      const regained = Math.max(0, nowMs - content.triesAtMs) / TRY_EVERY_MS
      const tries = Math.min(TRIES, content.tries + regained)
      if (tries < 1) {
        const retryAfterSeconds = Math.ceil(((1 - tries) * TRY_EVERY_MS) / 1000)
        throw new AppError('rate_limited', { retryAfterSeconds })
      }
      const accepted = accept(accountId, content, code)
      if (!accepted) {
        await write(tx, accountId, { ...content, tries: tries - 1, triesAtMs: nowMs })
        return 'wrong'
      }
      await then(tx, { ...accepted, tries, triesAtMs: nowMs })
      return 'right'
    })
  }

  async function isOn(accountId: AccountId): Promise<boolean> {
    return (await read(accountId))?.confirmed ?? false
  }

  return {
    isOn,

    async check(accountId, code, { onlyIfBeforeMs } = { onlyIfBeforeMs: Number.POSITIVE_INFINITY }) {
      const content = await read(accountId)
      if (!content?.confirmed || content.addedAtMs >= onlyIfBeforeMs) return
      if (!code) throw new AppError('second_factor_needed')
      const outcome = await attempt(accountId, code, (tx, content) => write(tx, accountId, content))
      if (outcome === 'wrong') throw wrongCode()
    },

    async removeSince(tx, accountId, sinceMs) {
      const content = await locked(tx, accountId)
      if (content && content.addedAtMs >= sinceMs) await erase(tx, accountId)
    },

    async state(accountId) {
      const content = await read(accountId)
      return content?.confirmed
        ? { on: true, recoveryCodes: content.recovery.length }
        : { on: false, recoveryCodes: 0 }
    },

    async begin(accountId) {
      const { email } = await o.vault.read(accountId)
      const secret = new OtpSecret({ buffer: new Uint8Array(randomBytes(SECRET_BYTES)).buffer }).base32
      await o.database.transaction(async (tx) => {
        const present = await locked(tx, accountId)
        if (present?.confirmed) throw alreadyOn()
        const nowMs = o.clock.nowMs()
        const fresh = { confirmed: false, lastStep: 0, recovery: [], tries: TRIES, triesAtMs: nowMs }
        await write(tx, accountId, { secret, addedAtMs: nowMs, ...fresh })
      })
      return { secret: new Secret(secret), uri: new Secret(totpOf(secret, email.reveal()).toString()) }
    },

    async confirm(accountId, code) {
      const codes = Array.from({ length: RECOVERY_CODES }, () => newTypedCode(RECOVERY_GROUPS))
      const outcome = await attempt(accountId, code, async (tx, content) => {
        if (content.confirmed) throw alreadyOn()
        if (o.clock.nowMs() - content.addedAtMs > SETUP_MS) throw notBegun()
        const recovery = codes.map((each) =>
          digesting.digest(digestLabel(accountId, each)).toString('base64'),
        )
        await write(tx, accountId, { ...content, confirmed: true, recovery })
      })
      if (outcome === 'none') throw notBegun()
      if (outcome === 'wrong') throw wrongCode()
      return codes
    },

    async remove(accountId, code) {
      if (!(await isOn(accountId))) throw new AppError('not_found')
      const outcome = await attempt(accountId, code, (tx) => erase(tx, accountId))
      if (outcome !== 'right') throw wrongCode()
    },
  }
}

function totpOf(secret: string, label = ''): TOTP {
  return new TOTP({
    issuer: 'Hearthlock',
    label,
    // What every authenticator app can do; RFC 6238 section 1.2.
    algorithm: 'SHA1',
    digits: 6,
    period: PERIOD_SECONDS,
    secret: OtpSecret.fromBase32(secret),
  })
}

function wrongCode(): AppError {
  return new AppError('second_factor_needed', {
    message: 'This code is not right, or was used before. Take the next one that the app shows.',
  })
}

function alreadyOn(): AppError {
  return new AppError('conflict', { message: 'A second factor is set up. Remove it first.' })
}

function notBegun(): AppError {
  return new AppError('conflict', { message: 'The setting up was not begun, or has ended. Begin it again.' })
}
