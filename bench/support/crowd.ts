import { sql } from 'kysely'
import type { Database } from '../../server/src/core/index.ts'

const CHUNK = 200_000

/**
 * Customers with a sign-in each, and devices: rows of the size that real ones have, made in the database itself. Nobody can
 * use them; they are there to be many.
 */
export async function makeCrowd(
  database: Database,
  { customers, devices }: { customers: number; devices: number },
  onProgress: (made: number, of: number) => void,
): Promise<void> {
  const of = customers + devices
  const id = (kind: number) => `(lpad(to_hex(${kind}), 8, '0') || lpad(to_hex(i), 24, '0'))::uuid`
  const bytes = (seed: string, length: number) =>
    `int8send(i) || decode(repeat(md5('${seed}'), ${Math.ceil((length - 8) / 16)}), 'hex')`
  const far = "date_trunc('hour', now()) + interval '30 days'"
  for (let from = 0; from < customers; from += CHUNK) {
    const range = `generate_series(${from}, ${Math.min(from + CHUNK, customers) - 1}) as i`
    await run(database, [
      `insert into identity.account (account_id, kind, sealed_password)
       select ${id(1)}, 'customer', ${bytes('p', 160)} from ${range}`,
      `insert into identity.artifact (model, id_digest, uid_digest, sealed, expires_at)
       select 'Grant', ${bytes('g', 32)}, ${bytes('h', 32)}, ${bytes('s', 1060)}, ${far} from ${range}`,
      `insert into identity.artifact (model, id_digest, grant_digest, sealed, expires_at)
       select 'RefreshToken', ${bytes('r', 32)}, ${bytes('g', 32)}, ${bytes('s', 1060)}, ${far} from ${range}`,
      `insert into identity.session (grant_digest, account_id, sealed)
       select ${bytes('g', 32)}, ${id(1)}, ${bytes('s', 290)} from ${range}`,
    ])
    onProgress(Math.min(from + CHUNK, customers), of)
  }
  for (let from = 0; from < devices; from += CHUNK) {
    const range = `generate_series(${from}, ${Math.min(from + CHUNK, devices) - 1}) as i`
    await run(database, [
      `insert into registry.device (device_id, model_id, public_key, claim_code_digest, made_on)
       select ${id(2)}, (select model_id from registry.model limit 1), ${bytes('k', 91)}, ${bytes('c', 32)},
         current_date from ${range}`,
    ])
    onProgress(customers + Math.min(from + CHUNK, devices), of)
  }
  await database.pool.query('analyze')
}

async function run(database: Database, statements: string[]): Promise<void> {
  await database.transaction(async (tx) => {
    await sql`set local synchronous_commit = off`.execute(tx)
    for (const statement of statements) await sql.raw(statement).execute(tx)
  })
}
