import { parentPort } from 'node:worker_threads'
import { ZxcvbnFactory } from '@zxcvbn-ts/core'
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common'
import { dictionary as english, translations } from '@zxcvbn-ts/language-en'
import type { StrengthAnswer, StrengthQuestion } from './password-strength.ts'

/** What is estimated: longer ones are as strong as their beginning at least, and estimating takes more than linear time. */
const ESTIMATED_CHARACTERS = 32

const estimator = new ZxcvbnFactory({
  dictionary: { ...common, ...english },
  graphs: adjacencyGraphs,
  translations,
  maxLength: ESTIMATED_CHARACTERS,
})

parentPort?.on('message', ({ password, known }: StrengthQuestion) => {
  const { score, feedback } = estimator.check(password, known)
  const why = [feedback.warning, ...feedback.suggestions].filter((text) => text !== null && text !== '')
  parentPort?.postMessage({ score, why: why.join(' ') } satisfies StrengthAnswer)
})
