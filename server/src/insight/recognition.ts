import type { Clock } from '../core/index.ts'
import type { CopyStore } from './copy-store.ts'
import type { Insight } from './face.ts'
import { isPseudonymOf } from './pseudonyms.ts'

/** Strangers can present as much as they like: the copies are read again no oftener than this. */
const READ_AGAIN_MS = 10_000

/** Of which copy a text is a pseudonym, also of one that is burned. */
export function createRecognition(o: { store: Pick<CopyStore, 'all'>; clock: Clock }): Insight['recognise'] {
  let readAtMs = Number.NEGATIVE_INFINITY
  let copies: ReturnType<CopyStore['all']> = Promise.resolve([])

  return async (text) => {
    const nowMs = o.clock.nowMs()
    if (nowMs - readAtMs >= READ_AGAIN_MS) {
      readAtMs = nowMs
      copies = o.store.all()
      copies.catch(() => {
        readAtMs = Number.NEGATIVE_INFINITY
      })
    }
    const found = (await copies).find(
      ({ open: { recognition } }) => recognition && isPseudonymOf(recognition, text),
    )
    return found && { copyId: found.copy_id, name: found.name, madeAtMs: found.open.createdAtMs }
  }
}
