import { AppError, type Clock, type Database, type Log, type RecordAct, type Tx } from '../core/index.ts'
import type { Finding, FindingId, FindingKind, Findings, Found } from './finding-face.ts'
import type { FindingTable } from './finding-table.ts'
import type { Feeds, Inventory } from './inventory.ts'

export interface FindingDesk extends Findings {
  /**
   * Cuts what is fed into the store, and writes it down: one commit. What is known already changes nothing; what had been
   * proved to be over opens again.
   * @returns undefined when it was known
   */
  raise(found: Found): Promise<Finding | undefined>
  /** It was proved to be over. People decide whether it is closed, and a feed stays cut. */
  shut(storeKey: string, kind: FindingKind): Promise<void>
}

/** Nothing goes there any more. */
const ENDED = new Set(['cut', 'burning', 'burned'])

type Flowing = Awaited<ReturnType<Inventory['feedsInto']>>[number]

export function createFindings(o: {
  database: Database
  table: FindingTable
  inventory: Pick<Inventory, 'feedsInto'>
  feeds: Pick<Feeds, 'cut'>
  recordAct: RecordAct
  clock: Clock
  log: Log
  /** After the commit: somebody is to be paged. */
  onDue: () => void
}): FindingDesk {
  const { database, table, clock, log } = o

  async function cutFeeds(tx: Tx, feeds: Flowing[], findingId: FindingId): Promise<string[]> {
    for (const { copyId } of feeds) await o.feeds.cut(tx, copyId, `finding ${findingId}`)
    return feeds.map(({ name }) => name)
  }

  async function record(tx: Tx, act: string, finding: Finding): Promise<void> {
    const { findingId, kind, storeKey, name, evidence, cut } = finding
    await o.recordAct(tx, {
      actor: 'system',
      act: `findings.${act}`,
      subject: { kind: 'finding', id: String(findingId) },
      details: { kind, store: storeKey, name, evidence, cut },
    })
  }

  async function raiseWithin(
    tx: Tx,
    { found, flowing, wasOpen }: { found: Found; flowing: Flowing[]; wasOpen: boolean },
  ): Promise<Finding | undefined> {
    const nowMs = clock.nowMs()
    const known = await table.unclosed(found, tx)
    // Another process was first, and has cut them.
    if (known?.state === 'open' && !wasOpen) return undefined
    if (known) {
      const { acknowledged: _taken, shutAtMs: _shut, ...rest } = known
      const cut = await cutFeeds(tx, flowing, known.findingId)
      const again: Finding = {
        ...rest,
        ...found,
        state: 'open',
        openedAtMs: known.state === 'open' ? known.openedAtMs : nowMs,
        cut: [...new Set([...known.cut, ...cut])],
        pages: { webhook: 0, mail: 0 },
      }
      await table.update(tx, again, 'now', nowMs)
      await record(tx, known.state === 'open' ? 'cut_again' : 'reopened', again)
      return again
    }
    const fresh = {
      ...found,
      state: 'open' as const,
      openedAtMs: nowMs,
      cut: [],
      pages: { webhook: 0, mail: 0 },
    }
    const finding = await table.insert(tx, fresh, nowMs)
    if (!finding) return undefined
    const cut = await cutFeeds(tx, flowing, finding.findingId)
    const written = { ...finding, cut }
    if (cut.length > 0) await table.update(tx, written)
    await record(tx, 'opened', written)
    return written
  }

  async function step(
    findingId: FindingId,
    work: (finding: Finding) => { after: Finding; act: string; note?: string | undefined },
    by: Parameters<Findings['acknowledge']>[1],
  ): Promise<Finding> {
    return database.transaction(async (tx) => {
      const finding = await table.find(findingId, tx)
      if (!finding) throw new AppError('not_found')
      const { after, act, note } = work(finding)
      await table.update(tx, after, 'none')
      await o.recordAct(tx, {
        actor: by,
        act: `findings.${act}`,
        subject: { kind: 'finding', id: String(findingId) },
        ...(note !== undefined && { details: { note } }),
      })
      return after
    })
  }

  return {
    async raise(found) {
      // In this order: where it was open before the feeds were asked, what flows was resumed since.
      const wasOpen = (await table.unclosed(found))?.state === 'open'
      // Before the transaction, which has a connection already. What is made in between is probed before its first byte.
      const feeds = await o.inventory.feedsInto({ key: found.storeKey, address: found.address })
      const flowing = feeds.filter(({ state }) => !ENDED.has(state))
      if (wasOpen && flowing.length === 0) return undefined
      const finding = await database.transaction((tx) => raiseWithin(tx, { found, flowing, wasOpen }))
      if (!finding) return undefined
      const { findingId, kind, storeKey, cut } = finding
      log.error('finding: people are paged until somebody acknowledges it', {
        findingId,
        kind,
        storeKey,
        feedsCut: cut.length,
      })
      o.onDue()
      return finding
    },

    async shut(storeKey, kind) {
      await database.transaction(async (tx) => {
        const finding = await table.unclosed({ storeKey, kind }, tx)
        if (finding?.state !== 'open') return
        const after: Finding = { ...finding, state: 'shut', shutAtMs: clock.nowMs() }
        // Still due: that it is over now does not say that somebody has seen it.
        await table.update(tx, after)
        await record(tx, 'shut', after)
        log.info('what was found is over; the finding waits to be closed', { findingId: finding.findingId })
      })
    },

    list: (options) => table.newest(options),

    async get(findingId) {
      const finding = await table.find(findingId)
      if (!finding) throw new AppError('not_found')
      return finding
    },

    acknowledge: (findingId, by) =>
      step(
        findingId,
        (finding) => {
          if (finding.state === 'closed') throw conflict('This finding is closed.')
          if (finding.acknowledged) throw conflict('Somebody has acknowledged this finding already.')
          const after = { ...finding, acknowledged: { by, atMs: clock.nowMs() } }
          return { after, act: 'acknowledged' }
        },
        by,
      ),

    close: (findingId, by, { note }) =>
      step(
        findingId,
        (finding) => {
          if (finding.state === 'closed') throw conflict('This finding is closed.')
          if (finding.state === 'open' && note === undefined) {
            throw conflict(
              'It is still so, or has not been proved to be over three times in a row. Mend it and wait, or say in a note why it is accepted.',
            )
          }
          const closed = { by, atMs: clock.nowMs(), ...(note !== undefined && { note }) }
          return { after: { ...finding, state: 'closed', closed }, act: 'closed', note }
        },
        by,
      ),
  }
}

function conflict(message: string): AppError {
  return new AppError('conflict', { message })
}
