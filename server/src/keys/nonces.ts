import { randomFillSync } from 'node:crypto'

export const NONCE_BYTES = 12
const POOLED = 512

/** Hands out 96-bit random nonces, each once. The array is valid until the next call: use it at once, or copy. */
export interface Nonces {
  next(): Buffer
}

/**
 * One call into the system's generator for 512 nonces instead of one each. Nonces are no secret: what counts is
 * that none is handed out twice, and the position only moves forward. The one way to repeat a nonce is a virtual
 * machine that is cloned while running and sends both clones on; do not clone a running server.
 */
export function createNonces(): Nonces {
  const pool = Buffer.allocUnsafeSlow(NONCE_BYTES * POOLED)
  const views = Array.from({ length: POOLED }, (_, i) =>
    pool.subarray(i * NONCE_BYTES, (i + 1) * NONCE_BYTES),
  )
  let position = POOLED
  return {
    next() {
      if (position === POOLED) {
        randomFillSync(pool)
        position = 0
      }
      return views[position++] as Buffer
    },
  }
}
