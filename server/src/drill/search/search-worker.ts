import { closeSync, openSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { fileBytes } from './bytes.ts'
import { deepSearch, type Hit } from './deep-search.ts'
import type { Matcher } from './matcher.ts'

export interface SearchTask {
  path: string
  from: number
  to: number
}

export interface SearchAnswer {
  hits: Hit[]
  /** All of them, where `hits` holds the first ones. */
  hitCount: number
  unpackedBytes: number
  skipped: string[]
}

/** A store that is open through and through has one on every line. */
const MAX_HITS = 20_000

parentPort?.on('message', async (task: SearchTask) => {
  parentPort?.postMessage(await search(workerData as Matcher, task))
})

async function search(matcher: Matcher, { path, from, to }: SearchTask): Promise<SearchAnswer> {
  const answer: SearchAnswer = { hits: [], hitCount: 0, unpackedBytes: 0, skipped: [] }
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    // A live database removes files. What could not be opened for another reason is the reader's to know.
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') answer.skipped.push(`${path}: ${code ?? 'cannot be opened'}`)
    return answer
  }
  try {
    const context = {
      matcher,
      path,
      hit(hit: Hit) {
        answer.hitCount += 1
        if (answer.hits.length < MAX_HITS) answer.hits.push(hit)
      },
      skipped: (why: string) => void answer.skipped.push(`${path}: ${why}`),
      unpacked(bytes: number) {
        answer.unpackedBytes += bytes
      },
    }
    await deepSearch(context, fileBytes(file), from, to)
  } catch (error) {
    answer.skipped.push(`${path}: ${(error as NodeJS.ErrnoException).code ?? 'cannot be read'}`)
  } finally {
    closeSync(file)
  }
  return answer
}
