import pg from 'pg'
import { AppError, type CopyId, type Secret } from '../../core/index.ts'
import type { Observation } from '../observation.ts'
import type { Address } from './address.ts'
import type { Destination, Rows } from './destination.ts'

const CONNECT_MS = 4_000
const STATEMENT_MS = 5_000
const QUERY_MS = 30_000
const MAX_ROWS = 100_000

/** A PostgreSQL database of the maker's, over TLS whose certificate verifies. The copy has a schema of its own there. */
export function postgresDestination(o: {
  copyId: CopyId
  name: string
  address: Extract<Address, { kind: 'postgres' }>
  password: Secret
  authorityPem: string | undefined
  /** @throws AppError when it answers strangers */
  refuseOpen: (signal: AbortSignal) => Promise<void>
}): Destination {
  const { copyId, address } = o
  const schema = pg.escapeIdentifier(`hearthlock_${o.name.replaceAll('-', '_')}`)
  let kept: pg.Client | undefined

  async function connect(timeoutMs: number, signal?: AbortSignal): Promise<pg.Client> {
    const client = new pg.Client({
      host: address.host,
      port: address.port,
      user: address.user,
      database: address.database,
      password: o.password.reveal(),
      application_name: 'hearthlock-copy',
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: timeoutMs,
      query_timeout: timeoutMs + 1_000,
      // Never without: whoever answers must be whom the certificate names, before it is told a password.
      ssl: { rejectUnauthorized: true, ...(o.authorityPem && { ca: o.authorityPem }) },
    })
    client.on('error', () => {
      if (kept === client) kept = undefined
    })
    const abort = () => destroySocket(client)
    signal?.addEventListener('abort', abort)
    try {
      signal?.throwIfAborted()
      await client.connect()
      return client
    } catch (error) {
      destroySocket(client)
      throw refusalOf(error)
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** Work that ends at once when it is called off: the connection goes, and with it what was not committed. */
  async function during<T>(signal: AbortSignal, work: (client: pg.Client) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    kept ??= await connect(STATEMENT_MS, signal)
    const client = kept
    const abort = () => {
      if (kept === client) kept = undefined
      destroySocket(client)
    }
    signal.addEventListener('abort', abort)
    try {
      signal.throwIfAborted()
      await client.query('begin')
      const result = await work(client)
      signal.throwIfAborted()
      await client.query('commit')
      return result
    } catch (error) {
      abort()
      throw error instanceof AppError ? error : refusalOf(error)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async function lastBatch(client: pg.Client): Promise<number> {
    const { rows } = await client.query(`select copy_id, batch from ${schema}.feed for update`)
    const [feed] = rows
    if (rows.length !== 1 || feed.copy_id !== copyId) throw foreign()
    return Number(feed.batch)
  }

  return {
    check: o.refuseOpen,

    async prepare(signal) {
      await during(signal, async (client) => {
        const { rows } = await client.query('select to_regclass($1) is not null as known', [`${schema}.feed`])
        if (rows[0].known) return await lastBatch(client)
        await client.query(`create schema if not exists ${schema}`)
        await client.query(`create table ${schema}.feed (copy_id uuid not null, batch bigint not null)`)
        await client.query(`insert into ${schema}.feed values ($1, 0)`, [copyId])
        await client.query(`create table ${schema}.observation (observed_at timestamp not null, device text, model text,
          firmware text, field text not null, number double precision, label text, count bigint not null)`)
        await client.query(`create index on ${schema}.observation (field, observed_at)`)
        return 0
      })
    },

    async deliver({ number, rows }, signal) {
      return await during(signal, async (client) => {
        const last = await lastBatch(client)
        if (last === number) return 'already'
        if (last !== number - 1) throw foreign()
        await client.query(
          `insert into ${schema}.observation (observed_at, device, model, firmware, field, number, label, count)
           select * from unnest($1::timestamp[], $2::text[], $3::text[], $4::text[], $5::text[],
             $6::double precision[], $7::text[], $8::bigint[])`,
          columnsOf(rows),
        )
        await client.query(`update ${schema}.feed set batch = $1`, [number])
        return 'written'
      })
    },

    async query(sql): Promise<Rows> {
      const client = await connect(QUERY_MS)
      try {
        await client.query('begin read only')
        await client.query(`set local search_path = ${schema}, pg_catalog`)
        const { fields, rows } = await client.query({ text: sql, rowMode: 'array', types: inUtc })
        if (rows.length > MAX_ROWS) throw new AppError('too_large')
        return { columns: fields.map((field) => field.name), rows }
      } catch (error) {
        throw error instanceof AppError ? error : refusalOf(error)
      } finally {
        await client.end().catch(() => {})
      }
    },

    async destroy(signal) {
      await during(signal, async (client) => {
        const { rows } = await client.query('select to_regclass($1) is not null as known', [`${schema}.feed`])
        if (!rows[0].known) return
        await lastBatch(client)
        await client.query(`drop schema ${schema} cascade`)
      })
    },

    async close() {
      const client = kept
      kept = undefined
      await client?.end().catch(() => {})
    },
  }
}

/** Dates and times without a zone are of UTC here, wherever this process runs. */
const inUtc: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === pg.types.builtins.DATE) return (text: string) => new Date(`${text}T00:00:00Z`)
    if (oid === pg.types.builtins.TIMESTAMP) return (text: string) => new Date(`${text.replace(' ', 'T')}Z`)
    return pg.types.getTypeParser(oid, format as 'text')
  },
}

/** Not the polite end: what is on its way shall not arrive. */
function destroySocket(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}

function columnsOf(rows: readonly Observation[]): unknown[] {
  return [
    rows.map(({ atMs }) => new Date(atMs).toISOString().slice(0, 19)),
    rows.map(({ device }) => device ?? null),
    rows.map(({ model }) => model ?? null),
    rows.map(({ firmware }) => firmware ?? null),
    rows.map(({ field }) => field),
    rows.map(({ number }) => number ?? null),
    rows.map(({ label }) => label ?? null),
    rows.map(({ count }) => count),
  ]
}

function foreign(): AppError {
  return new AppError('destination_refused', {
    message:
      'The destination holds something else under this name, or is not as this copy left it. Burn the copy and make another.',
  })
}

const CERTIFICATE = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_|HOSTNAME_MISMATCH|INVALID_PURPOSE)/

/** What the destination says is for the log: it may repeat what it was sent. */
function refusalOf(cause: unknown): AppError {
  const code = String((cause as { code?: unknown })?.code ?? '')
  const text = cause instanceof Error ? cause.message : ''
  if (CERTIFICATE.test(code) || text === 'The server does not support SSL connections')
    return new AppError('destination_refused', {
      message: "The destination's certificate does not verify; nothing was sent.",
      detail: code,
      cause,
    })
  if (code === '28P01' || code === '28000')
    return new AppError('destination_refused', {
      message: 'The destination does not take this user and password.',
      detail: code,
    })
  return new AppError('unavailable', {
    message: 'The destination cannot be reached or did not do what it was asked.',
    detail: code,
    retryAfterSeconds: 10,
    cause,
  })
}
