import { type Argon2Parameters, argon2, createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { AppError, type Secret } from '../core/index.ts'
import { refuseReadableByOthers, writePrivateFile } from './private-file.ts'
import type { SoftwarePasskey } from './software-passkey.ts'

/** A software passkey in a file: whoever has the file needs the passphrase as well. */
export interface PasskeyFile {
  /** Whether there is one for this server. */
  holds(rpId: string): Promise<boolean>
  /** @throws AppError invalid_request: the passphrase is too short, or the file holds another passkey for this server */
  save(passkey: SoftwarePasskey, passphrase: Secret): Promise<void>
  /** @throws AppError invalid_request: no such file, or a wrong passphrase */
  open(passphrase: Secret): Promise<SoftwarePasskey>
}

interface Stored {
  format: 1
  /** Readable, so that the command knows whether to ask for the passphrase. */
  rpId: string
  salt: string
  nonce: string
  sealed: string
}

const MIN_PASSPHRASE = 10
// Guessing happens offline here, without our limits: dearer than the server's own hashes (RFC 9106 section 4, second choice).
const COST = { memory: 65_536, passes: 3, parallelism: 4, tagLength: 32 }
const TAG_BYTES = 16

export function passkeyFile(path: string): PasskeyFile {
  async function read(): Promise<Stored | undefined> {
    try {
      await refuseReadableByOthers(path, 'passkey file', 'Remove it, and the passkey from your account.')
      const found = JSON.parse(await readFile(path, 'utf8')) as Stored
      return found.format === 1 ? found : undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
  return {
    holds: async (rpId) => (await read())?.rpId === rpId,

    async save(passkey, passphrase) {
      if ([...passphrase.reveal()].length < MIN_PASSPHRASE) {
        throw new AppError('invalid_request', {
          message: `The passphrase needs at least ${MIN_PASSPHRASE} characters.`,
        })
      }
      if ((await read())?.rpId === passkey.rpId) {
        throw new AppError('invalid_request', {
          message: `${path} holds a passkey for this server already. Move it away first, or sign in with it.`,
        })
      }
      const [salt, nonce] = [randomBytes(16), randomBytes(12)]
      const cipher = createCipheriv('aes-256-gcm', await keyOf(passphrase, salt), nonce)
      cipher.setAAD(Buffer.from(passkey.rpId))
      const sealed = Buffer.concat([
        cipher.update(JSON.stringify(passkey)),
        cipher.final(),
        cipher.getAuthTag(),
      ])
      const stored: Stored = {
        format: 1,
        rpId: passkey.rpId,
        salt: salt.toString('base64url'),
        nonce: nonce.toString('base64url'),
        sealed: sealed.toString('base64url'),
      }
      await writePrivateFile(path, `${JSON.stringify(stored)}\n`)
    },

    async open(passphrase) {
      const stored = await read()
      if (!stored) throw new AppError('invalid_request', { message: `There is no passkey file at ${path}.` })
      const sealed = Buffer.from(stored.sealed, 'base64url')
      const key = await keyOf(passphrase, Buffer.from(stored.salt, 'base64url'))
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(stored.nonce, 'base64url'))
      decipher.setAAD(Buffer.from(stored.rpId))
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
      try {
        const plain = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
        return JSON.parse(plain.toString()) as SoftwarePasskey
      } catch (cause) {
        throw new AppError('invalid_request', { message: 'The passphrase is not right.', cause })
      }
    },
  }
}

function keyOf(passphrase: Secret, nonce: Buffer): Promise<Buffer> {
  const parameters: Argon2Parameters = { ...COST, message: passphrase.reveal().normalize('NFKC'), nonce }
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, key) => (error ? reject(error) : resolve(key)))
  })
}
