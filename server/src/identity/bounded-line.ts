import { AppError } from '../core/index.ts'

export interface BoundedLine {
  /** @throws AppError unavailable when the line is full */
  run<T>(work: () => Promise<T>): Promise<T>
  readonly waiting: number
}

/**
 * Lets a few run and a few wait. Password hashing is meant to be expensive: without an end to the line,
 * strangers could fill memory and processors with it.
 */
export function createBoundedLine(o: {
  atOnce: number
  inLine: number
  retryAfterSeconds: number
}): BoundedLine {
  const line: (() => void)[] = []
  let running = 0
  return {
    get waiting() {
      return line.length
    },
    async run(work) {
      if (running < o.atOnce) running++
      else if (line.length < o.inLine) await new Promise<void>((turn) => line.push(turn))
      else throw new AppError('unavailable', { retryAfterSeconds: o.retryAfterSeconds })
      try {
        return await work()
      } finally {
        // The place passes straight to the next in line, so nobody can slip in between.
        const next = line.shift()
        if (next) next()
        else running--
      }
    },
  }
}
