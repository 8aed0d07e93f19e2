import { describe, expect, it, vi } from 'vitest'
import { defaultLimits } from '../../src/api/index.ts'
import { createLiveResets } from '../../src/api/live-resets.ts'
import { createLiveStreams } from '../../src/api/live-streams.ts'
import { type AccountId, newId } from '../../src/core/index.ts'

const limits = { ...defaultLimits, resetEndsPerSecond: 1 }
const everybody = (epoch: number) => ({
  epoch,
  quietly: true,
  reached: async (accountIds: readonly AccountId[]) => new Set(accountIds),
})

describe('an answer that is sent for as long as it takes, at a reset', () => {
  it('stops at once: there is nobody whom a wave would spare', async () => {
    const live = createLiveStreams(limits)
    const resets = createLiveResets({ live, limits })
    const stopped = vi.fn()
    live.begin({ accountId: newId<AccountId>(), sessionId: 'a', epoch: 0 }).onClose(stopped)
    await resets.hear(everybody(1))
    expect(stopped).toHaveBeenCalledOnce()
    expect(live.count).toBe(0)
  })

  it('goes on when it was begun with a token of after it', async () => {
    const live = createLiveStreams(limits)
    const resets = createLiveResets({ live, limits })
    live.begin({ accountId: newId<AccountId>(), sessionId: 'a', epoch: 1 })
    await resets.hear(everybody(1))
    expect(live.count).toBe(1)
  })
})
