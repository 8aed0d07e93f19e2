import { access, chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DuckDBAppender, DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { AppError, type CopyId } from '../../core/index.ts'
import type { Observation } from '../observation.ts'
import type { Destination, Rows } from './destination.ts'

const QUERY_MS = 30_000
const MAX_ROWS = 100_000

/** A file of its own beside the data, readable by our user alone. One process at a time has it open: who fills it, and answers. */
export function duckdbDestination(o: { copyId: CopyId; directory: string }): Destination {
  const { copyId, directory } = o
  const path = join(directory, `${copyId}.duckdb`)
  let opening: Promise<{ instance: DuckDBInstance; connection: DuckDBConnection }> | undefined

  async function open(): Promise<DuckDBConnection> {
    opening ??= openFile().catch((cause) => {
      opening = undefined
      throw new AppError('unavailable', {
        message: 'The file of this copy cannot be opened now; another process may have it.',
        retryAfterSeconds: 5,
        cause,
      })
    })
    return (await opening).connection
  }

  async function openFile() {
    // 60 MB of native code: only where there is a file.
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const instance = await DuckDBInstance.create(path, {
      // Of what a statement could do beside reading the copy: other files, the network, extensions.
      enable_external_access: 'false',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      threads: '2',
      memory_limit: '512MB',
    })
    const connection = await instance.connect()
    await connection.run('set lock_configuration = true')
    await keepToOurselves()
    return { instance, connection }
  }

  /** The file, and the log beside it that comes and goes. The directory is closed to others in any case. */
  async function keepToOurselves(): Promise<void> {
    for (const file of [path, `${path}.wal`]) await chmod(file, 0o600).catch(ignoreMissing)
  }

  async function during<T>(
    signal: AbortSignal,
    work: (connection: DuckDBConnection) => Promise<T>,
  ): Promise<T> {
    const connection = await open()
    await connection.run('begin')
    try {
      const result = await work(connection)
      // Nothing of it is on disk before the commit.
      signal.throwIfAborted()
      await connection.run('commit')
      await keepToOurselves()
      return result
    } catch (error) {
      await connection.run('rollback').catch(() => {})
      throw error
    }
  }

  async function lastBatch(connection: DuckDBConnection): Promise<number> {
    const rows = (await connection.runAndReadAll('select copy_id, batch from feed')).getRows()
    if (rows.length !== 1 || rows[0]?.[0] !== copyId) throw foreign()
    return Number(rows[0][1])
  }

  async function close(): Promise<void> {
    const opened = await opening?.catch(() => undefined)
    opening = undefined
    opened?.connection.closeSync()
    opened?.instance.closeSync()
  }

  return {
    // Nobody but this machine's user can ask.
    async check() {},

    async prepare(signal) {
      signal.throwIfAborted()
      await mkdir(directory, { recursive: true, mode: 0o700 })
      // Also one that was there before.
      await chmod(directory, 0o700)
      await during(signal, async (connection) => {
        await connection.run(
          'create table if not exists feed (copy_id varchar not null, batch bigint not null)',
        )
        await connection.run(`insert into feed select '${copyId}', 0 where not exists (from feed)`)
        await connection.run(`create table if not exists observation (observed_at timestamp not null, device varchar,
          model varchar, firmware varchar, field varchar not null, number double, label varchar, count bigint not null)`)
      })
    },

    async deliver({ number, rows }, signal) {
      signal.throwIfAborted()
      // Opening would make it anew, and what it held would be missing for ever.
      await access(path).catch(() => {
        throw foreign()
      })
      return await during(signal, async (connection) => {
        const last = await lastBatch(connection)
        if (last === number) return 'already'
        if (last !== number - 1) throw foreign()
        const appender = await connection.createAppender('observation')
        const { DuckDBTimestampValue } = await import('@duckdb/node-api')
        const time = (ms: number) => new DuckDBTimestampValue(BigInt(ms) * 1000n)
        for (const row of rows) append(appender, row, time)
        appender.closeSync()
        await connection.run(`update feed set batch = ${number}`)
        return 'written'
      })
    },

    async query(sql): Promise<Rows> {
      await access(path).catch(() => {
        throw foreign()
      })
      await open()
      const connection = await ((await opening) as { instance: DuckDBInstance }).instance.connect()
      const timer = setTimeout(() => connection.interrupt(), QUERY_MS)
      try {
        await connection.run('begin transaction read only')
        const reader = await connection.runAndReadUntil(sql, MAX_ROWS + 1)
        if (reader.currentRowCount > MAX_ROWS) throw new AppError('too_large')
        return { columns: reader.columnNames(), rows: reader.getRowsJS() as unknown[][] }
      } finally {
        clearTimeout(timer)
        connection.closeSync()
      }
    },

    async destroy() {
      await close()
      for (const file of [path, `${path}.wal`, `${path}.tmp`])
        await rm(file, { recursive: true, force: true })
    },

    close,
  }
}

function append(
  appender: DuckDBAppender,
  row: Observation,
  time: (ms: number) => Parameters<DuckDBAppender['appendTimestamp']>[0],
): void {
  const text = (value: string | undefined) =>
    value === undefined ? appender.appendNull() : appender.appendVarchar(value)
  appender.appendTimestamp(time(row.atMs))
  text(row.device)
  text(row.model)
  text(row.firmware)
  appender.appendVarchar(row.field)
  if (row.number === undefined) appender.appendNull()
  else appender.appendDouble(row.number)
  text(row.label)
  appender.appendBigInt(BigInt(row.count))
  appender.endRow()
}

function foreign(): AppError {
  return new AppError('destination_refused', {
    message: 'The file of this copy is missing or is not as it was left. Burn the copy and make another.',
  })
}

function ignoreMissing(error: unknown): void {
  if ((error as { code?: string }).code !== 'ENOENT') throw error
}
