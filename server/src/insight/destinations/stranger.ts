import { AppError, type Clock } from '../../core/index.ts'
import { probe } from '../../probes/index.ts'

export type AskAsStranger = (
  address: string,
  signal: AbortSignal,
) => Promise<'open' | 'protected' | 'other' | 'silent'>

/** One probe of one address, as anybody could send it. */
export function createStranger({ clock }: { clock: Clock }): AskAsStranger {
  return async (address, signal) => {
    for await (const { verdict } of probe([address], {
      clock,
      timeoutMilliseconds: 3_000,
      concurrency: 1,
      ratePerSecond: 10,
      signal,
    }))
      return verdict
    return 'silent'
  }
}

/** @throws AppError destination_refused when it answers strangers; unavailable when that cannot be told */
export async function refuseOpen(ask: AskAsStranger, address: string, signal: AbortSignal): Promise<void> {
  const verdict = await ask(address, signal)
  if (verdict === 'protected') return
  if (verdict === 'open')
    throw new AppError('destination_refused', {
      message: 'The destination lets strangers read. Protect it first; nothing was sent.',
      detail: 'open',
    })
  throw new AppError('unavailable', {
    message: 'Whether the destination lets strangers read could not be told; nothing was sent.',
    detail: verdict,
    retryAfterSeconds: 10,
  })
}
