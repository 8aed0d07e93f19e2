import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { garbled } from '../failure.ts'

/** The client's side of SCRAM-SHA-256 (RFC 7677, without channel binding); who the server is does not matter to a probe. */
export interface Scram {
  readonly first: string
  /** Answers the server's first message. @throws ProbeFailure garbled */
  final(serverFirst: string): Promise<string>
}

/** A hostile server must not set us to work for minutes. */
const MOST_ITERATIONS = 200_000
const derive = promisify(pbkdf2)

export function createScram(user: string, password: string): Scram {
  const nonce = randomBytes(18).toString('base64')
  const bare = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  return {
    first: `n,,${bare}`,
    async final(serverFirst) {
      const found = /^r=([^,]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})/.exec(serverFirst)
      const [, both = '', salt = '', count = ''] = found ?? garbled()
      const iterations = Number(count)
      if (!both.startsWith(nonce) || iterations < 1 || iterations > MOST_ITERATIONS) garbled()
      const salted = await derive(password, Buffer.from(salt, 'base64'), iterations, 32, 'sha256')
      const clientKey = hmac(salted, 'Client Key')
      const storedKey = createHash('sha256').update(clientKey).digest()
      const withoutProof = `c=biws,r=${both}`
      const message = `${bare},${serverFirst},${withoutProof}`
      const signature = hmac(storedKey, message)
      const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))
      return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`
    },
  }
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
