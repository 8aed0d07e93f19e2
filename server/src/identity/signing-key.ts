import { generateKeyPairSync } from 'node:crypto'
import type { JWK } from 'oidc-provider'
import type { Database } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { IdentityTables } from './tables.ts'

const where = place('identity.signing_key')

/** The provider's key for ID tokens (ES256): made once by whoever starts first, kept sealed. */
export async function loadSigningKey({ database, keys }: { database: Database; keys: Keys }): Promise<JWK> {
  const tables = database.queries.withTables<IdentityTables>()
  const sealing = keys.purpose('identity.signing-key')
  const stored = () => tables.selectFrom('identity.signing_key').select('sealed').executeTakeFirst()
  if (!(await stored())) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }
    await tables
      .insertInto('identity.signing_key')
      .values({ sealed: sealing.seal(where, JSON.stringify(jwk)) })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
  const { sealed } = (await stored()) as { sealed: Buffer }
  return JSON.parse(sealing.unseal(where, sealed).toString()) as JWK
}
