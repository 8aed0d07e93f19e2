import { pino } from 'pino'
import { isAppError } from './errors.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Fields of a log line. Ids, counts, codes and durations only; `Secret` and `Personal` print as a mask. */
export type LogFields = Record<string, unknown>

export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  child(fields: LogFields): Log
}

/** One JSON line per entry, on standard error unless a destination is given. */
export function createLog(
  options: { level?: LogLevel; destination?: { write(line: string): void } } = {},
): Log {
  const base = { level: options.level ?? 'info', base: null, serializers: { error: describeError } }
  return wrap(pino(base, options.destination ?? pino.destination({ dest: 2, sync: true })))
}

export const silentLog: Log = createLog({ level: 'silent' })

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (fields) => wrap(logger.child(fields)),
  }
}

/**
 * What of an error may stand in a log. PostgreSQL puts the offending values into `message` and `detail`
 * ("Key (email)=(…) already exists"), so a foreign error shows its class, code and stack frames only.
 */
function describeError(error: unknown): LogFields {
  if (isAppError(error)) {
    return {
      code: error.code,
      detail: error.detail,
      ...(error.cause ? { cause: describeError(error.cause) } : {}),
    }
  }
  if (!(error instanceof Error)) return { name: typeof error }
  const code = 'code' in error ? String(error.code) : undefined
  const frames = error.stack
    ?.split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 6)
  return { name: error.name, code, frames }
}
