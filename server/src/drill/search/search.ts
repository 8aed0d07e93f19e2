import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Hit, WINDOW_BYTES } from './deep-search.ts'
import type { Pattern } from './encodings.ts'
import { compileMatcher } from './matcher.ts'
import type { SearchAnswer, SearchTask } from './search-worker.ts'

export interface SearchResult {
  hits: Hit[]
  /** All of them, where `hits` holds the first ones. */
  hitCount: number
  searchedBytes: number
  unpackedBytes: number
  tookMs: number
  skipped: string[]
}

/** Looks for the patterns in all files and in what is packed in them, on every processor. */
export async function searchFiles(o: {
  patterns: readonly Pattern[]
  paths: readonly string[]
  onProgress?: (searchedBytes: number, ofBytes: number) => void
  threads?: number
}): Promise<SearchResult> {
  const { tasks, bytes } = await tasksFor(o.paths)
  const result: SearchResult = {
    hits: [],
    hitCount: 0,
    searchedBytes: 0,
    unpackedBytes: 0,
    tookMs: 0,
    skipped: [],
  }
  if (o.patterns.length === 0 || tasks.length === 0) return result
  const matcher = compileMatcher(o.patterns)
  const beganMs = performance.now()
  const threads = Math.min(o.threads ?? availableParallelism(), tasks.length)
  await Promise.all(Array.from({ length: threads }, work))
  result.tookMs = performance.now() - beganMs
  return result

  async function work(): Promise<void> {
    const worker = new Worker(new URL('./search-worker.ts', import.meta.url), { workerData: matcher })
    try {
      for (let task = tasks.pop(); task; task = tasks.pop()) {
        const answer = await ask(worker, task)
        result.searchedBytes += task.to - task.from
        result.unpackedBytes += answer.unpackedBytes
        result.hitCount += answer.hitCount
        result.hits.push(...answer.hits)
        result.skipped.push(...answer.skipped)
        o.onProgress?.(result.searchedBytes, bytes)
      }
    } finally {
      await worker.terminate()
    }
  }
}

function ask(worker: Worker, task: SearchTask): Promise<SearchAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<SearchAnswer>()
  const ended = () => reject(new Error('a thread of the search ended'))
  worker.once('message', resolve).once('error', reject).once('exit', ended)
  worker.postMessage(task)
  return promise.finally(() => worker.off('message', resolve).off('error', reject).off('exit', ended))
}

/** The largest pieces last in the list, that is first at work. */
async function tasksFor(paths: readonly string[]): Promise<{ tasks: SearchTask[]; bytes: number }> {
  const tasks: SearchTask[] = []
  let bytes = 0
  for (const path of paths) {
    const size = await stat(path).then(
      (found) => (found.isFile() ? found.size : 0),
      () => 0,
    )
    bytes += size
    for (let from = 0; from < size; from += WINDOW_BYTES) {
      tasks.push({ path, from, to: Math.min(from + WINDOW_BYTES, size) })
    }
  }
  tasks.sort((a, b) => a.to - a.from - (b.to - b.from))
  return { tasks, bytes }
}
