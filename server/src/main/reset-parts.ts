import { AppError, type TenureId } from '../core/index.ts'

/** No room keeps a ledger of which tenures' data went into which store. */
// biome-ignore lint/correctness/useYield: it is one of those that list tenures, and has none
export async function* noStores(_store: string): AsyncGenerator<TenureId[]> {
  throw new AppError('not_found', { message: 'There is no such store.' })
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
