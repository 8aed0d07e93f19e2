import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { type AccountId, AppError, type Secret } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { createBoundedLine } from './bounded-line.ts'
import { type CheckPassword, createCheckPassword, normalisePassword } from './password-rules.ts'
import { createPasswordStrength } from './password-strength.ts'

/** OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane. */
export const recommended: Argon2Cost = { memoryKib: 19_456, passes: 2, lanes: 1 }

export interface Argon2Cost {
  memoryKib: number
  passes: number
  lanes: number
}

export interface Passwords {
  /** Whether it may be a new password. */
  check: CheckPassword
  /** @throws AppError unavailable */
  seal(accountId: AccountId, password: Secret): Promise<Buffer>
  /**
   * Does the same work with and without an account or a password of it. `stale`: right, and due to be sealed anew.
   * @throws AppError unavailable
   */
  verify(
    password: Secret,
    stored: { accountId: AccountId; sealedPassword: Buffer | undefined } | undefined,
  ): Promise<{ right: boolean; stale: boolean }>
  stats(): { hashed: number; waiting: number }
  close(): Promise<void>
}

const TAG_BYTES = 32
const SALT_BYTES = 16
// PHC string format (github.com/P-H-C/phc-string-format); `keyid` names the pepper, so that it can be renewed.
const ENCODED =
  /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,2}),keyid=([A-Za-z0-9+/]{1,11})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/**
 * Argon2id under a pepper that lives with the root key, then sealed to the account's row. A copy of the table
 * gives nobody a hash to guess against.
 */
export function createPasswords(o: {
  keys: Keys
  hashesAtOnce: number
  hashesInLine: number
  cost?: Argon2Cost | undefined
}): Passwords {
  const cost = o.cost ?? recommended
  const strength = createPasswordStrength()
  const line = createBoundedLine({ atOnce: o.hashesAtOnce, inLine: o.hashesInLine, retryAfterSeconds: 2 })
  const sealing = o.keys.purpose('identity.password')
  const peppers = (): Pepper[] => {
    const purpose = o.keys.purpose('identity.pepper')
    const names = purpose.digests('keyid')
    return purpose.deriveSecrets('argon2id').map((secret, i) => ({
      secret: Buffer.from(secret.reveal(), 'base64url'),
      keyid: unpadded((names[i] as Buffer).subarray(0, 6)),
    }))
  }
  let hashed = 0

  const hash = (password: Secret, salt: Buffer, secret: Buffer, by: Argon2Cost) =>
    line.run(() => {
      hashed++
      return argon2id({
        message: normalisePassword(password),
        nonce: salt,
        secret,
        memory: by.memoryKib,
        passes: by.passes,
        parallelism: by.lanes,
        tagLength: TAG_BYTES,
      })
    })

  // What a sign-in to no account is compared with: as dear as a real one, and never equal.
  const nobody = (): Encoded => {
    const [pepper] = peppers() as [Pepper]
    return { cost, keyid: pepper.keyid, salt: randomBytes(SALT_BYTES), tag: randomBytes(TAG_BYTES) }
  }

  return {
    check: createCheckPassword(strength),
    close: strength.close,
    async seal(accountId, password) {
      const [pepper] = peppers() as [Pepper]
      const salt = randomBytes(SALT_BYTES)
      const tag = await hash(password, salt, pepper.secret, cost)
      return sealing.seal(whereItStands(accountId), encode({ cost, keyid: pepper.keyid, salt, tag }))
    },
    async verify(password, stored) {
      const known = stored?.sealedPassword
        ? decode(sealing.unseal(whereItStands(stored.accountId), stored.sealedPassword).toString())
        : nobody()
      const candidates = peppers()
      const pepper = candidates.find(({ keyid }) => keyid === known.keyid) ?? (candidates[0] as Pepper)
      const tag = await hash(password, known.salt, pepper.secret, known.cost)
      const right = timingSafeEqual(tag, known.tag) && stored?.sealedPassword !== undefined
      const current = known.keyid === candidates[0]?.keyid && sameCost(known.cost, cost)
      return { right, stale: right && !current }
    },
    stats: () => ({ hashed, waiting: line.waiting }),
  }
}

interface Pepper {
  secret: Buffer
  keyid: string
}

interface Encoded {
  cost: Argon2Cost
  keyid: string
  salt: Buffer
  tag: Buffer
}

function whereItStands(accountId: AccountId): string {
  return place('identity.account.password', accountId)
}

function argon2id(parameters: Argon2Parameters): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, tag) => (error ? reject(error) : resolve(tag)))
  })
}

function encode({ cost, keyid, salt, tag }: Encoded): string {
  const parameters = `m=${cost.memoryKib},t=${cost.passes},p=${cost.lanes},keyid=${keyid}`
  return `$argon2id$v=19$${parameters}$${unpadded(salt)}$${unpadded(tag)}`
}

function decode(text: string): Encoded {
  const match = ENCODED.exec(text)
  if (!match) throw new AppError('integrity_failed', { detail: 'a stored password has an unknown form' })
  const [, m, t, p, keyid, salt, tag] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  return {
    cost: { memoryKib: Number(m), passes: Number(t), lanes: Number(p) },
    keyid,
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  }
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}

function sameCost(a: Argon2Cost, b: Argon2Cost): boolean {
  return a.memoryKib === b.memoryKib && a.passes === b.passes && a.lanes === b.lanes
}
