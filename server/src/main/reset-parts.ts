import { AppError, isAppError, type TenureId } from '../core/index.ts'
import type { Insight } from '../insight/index.ts'

const AT_ONCE = 5_000

/** Whose data went into a store: into a copy for analysts, by its name or id, also one that is burned. */
export function touchedBy(insight: Pick<Insight, 'copy' | 'ledger'>) {
  return async function* (store: string): AsyncGenerator<TenureId[]> {
    const { copyId } = await insight.copy(store).catch((error: unknown) => {
      if (!isAppError(error, 'not_found')) throw error
      throw new AppError('not_found', { message: 'There is no such store.' })
    })
    const touched = await insight.ledger.touched(copyId)
    for (let at = 0; at < touched.length; at += AT_ONCE)
      yield touched.slice(at, at + AT_ONCE).map(({ tenureId }) => tenureId)
  }
}

/** What a reset has to close, and has closed, from the counters of the two doors. */
export function connectionsOf(
  gateway: Record<string, number> | undefined,
  api: Record<string, number> | undefined,
) {
  const of = (from: Record<string, number> | undefined, name: string) => from?.[name] ?? 0
  return {
    devices: of(gateway, 'gateway_sessions'),
    streams: of(api, 'api_live_streams'),
    waiting: of(gateway, 'gateway_void_sessions') + of(api, 'api_void_streams'),
    closed: of(gateway, 'gateway_closed_by_reset_total') + of(api, 'api_streams_ended_by_reset_total'),
  }
}
