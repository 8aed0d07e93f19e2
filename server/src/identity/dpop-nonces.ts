import { hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../core/index.ts'

/**
 * Nonces for proofs of possession (RFC 9449 sections 8 and 9), computed from a secret that lives only in this process:
 * a proof that was made for one process is worth nothing at another, nor after a restart, when what this one remembered
 * of seen proofs is gone.
 */
export interface DpopNonces {
  /** For the provider, which makes and takes its own from it at the token endpoint. */
  readonly secret: Buffer
  latest(): string
  accepts(nonce: unknown): boolean
}

const SECRET_BYTES = 32
const STEP_SECONDS = 60
/** Made one step ahead and taken two steps back: good for three to four minutes. */
const AHEAD = 1
const WINDOW = [-2, -1, 0, 1, 2]

/**
 * Computed as `oidc-provider` does (lib/helpers/challenge.js), so that the nonce which comes with tokens serves for the
 * first request, too. Were it to change there, each client would be asked once more (a test would say so).
 */
export function createDpopNonces({ clock }: { clock: Clock }): DpopNonces {
  const secret = randomBytes(SECRET_BYTES)
  let computedFor = Number.NaN
  let accepted: Buffer[] = []

  function window(): Buffer[] {
    const step = Math.floor(clock.nowMs() / 1000 / STEP_SECONDS)
    if (step !== computedFor) {
      accepted = WINDOW.map((offset) => compute(secret, step + offset))
      computedFor = step
    }
    return accepted
  }

  return {
    secret,
    latest: () => (window()[WINDOW.indexOf(AHEAD)] as Buffer).toString(),
    accepts(nonce) {
      if (typeof nonce !== 'string') return false
      const given = Buffer.from(nonce)
      return window().some((known) => known.length === given.length && timingSafeEqual(known, given))
    },
  }
}

function compute(secret: Buffer, step: number): Buffer {
  const salt = Buffer.alloc(8)
  // The provider counts in 32 bits: enough for eight thousand years.
  salt.writeInt32BE(step, 4)
  return Buffer.from(Buffer.from(hkdfSync('sha256', secret, salt, 'DPoP', 32)).toString('base64url'))
}
