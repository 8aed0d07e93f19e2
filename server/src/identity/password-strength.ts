import { Worker } from 'node:worker_threads'
import { AppError, type Secret } from '../core/index.ts'
import { createBoundedLine } from './bounded-line.ts'

export interface StrengthQuestion {
  password: string
  /** What an attacker knows of the person: it counts for nothing. */
  known: string[]
}

export interface StrengthAnswer {
  /** zxcvbn's scale of 0 to 4. */
  score: number
  /** What is weak, without a word of the password. */
  why: string
}

export interface PasswordStrength {
  /** @throws AppError unavailable when too many wait */
  estimate(password: Secret, known: string[]): Promise<StrengthAnswer>
  close(): Promise<void>
}

const IN_LINE = 200
/** The word lists take tens of megabytes: they go when nobody has chosen a password for so long. */
const IDLE_MS = 60_000

/**
 * Guesses that a password takes, by zxcvbn, in a thread of its own: reading its word lists takes a second of a processor,
 * and a stranger's long password a good part of one. Devices and people must not wait for that.
 */
export function createPasswordStrength(): PasswordStrength {
  const line = createBoundedLine({ atOnce: 1, inLine: IN_LINE, retryAfterSeconds: 2 })
  let worker: Worker | undefined
  let idle: NodeJS.Timeout | undefined
  /** One at a time: the line sees to that. */
  let asked: PromiseWithResolvers<StrengthAnswer> | undefined

  function start(): Worker {
    const started = new Worker(new URL('./password-strength-worker.ts', import.meta.url))
    const ended = (cause?: unknown) => {
      if (worker !== started) return
      worker = undefined
      const detail = 'the estimator of passwords ended'
      asked?.reject(new AppError('unavailable', { retryAfterSeconds: 2, detail, cause }))
    }
    started.on('message', (answer: StrengthAnswer) => asked?.resolve(answer))
    started.on('error', ended)
    started.on('exit', () => ended())
    started.unref()
    return started
  }

  async function end(): Promise<void> {
    clearTimeout(idle)
    const ending = worker
    await ending?.terminate()
  }

  function ask(question: StrengthQuestion): Promise<StrengthAnswer> {
    worker ??= start()
    asked = Promise.withResolvers()
    worker.postMessage(question)
    return asked.promise
  }

  return {
    estimate: (password, known) =>
      line.run(async () => {
        clearTimeout(idle)
        try {
          return await ask({ password: password.reveal(), known })
        } finally {
          idle = setTimeout(() => void end(), IDLE_MS).unref()
        }
      }),
    close: end,
  }
}
