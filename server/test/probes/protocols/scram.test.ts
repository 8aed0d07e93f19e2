import { describe, expect, it } from 'vitest'
import { isProbeFailure } from '../../../src/probes/failure.ts'
import { createScram } from '../../../src/probes/protocols/scram.ts'

/** That it signs in is tested against PostgreSQL. */
describe('signing in with SCRAM', () => {
  const nonceOf = (first: string) => first.split('r=')[1] ?? ''

  it.each([
    ['more iterations than a probe works off', (nonce: string) => `r=${nonce}x,s=c2FsdA==,i=999999999`],
    ['no iteration', (nonce: string) => `r=${nonce}x,s=c2FsdA==,i=0`],
    ['a nonce that is not an answer to ours', () => 'r=another,s=c2FsdA==,i=4096'],
    ['something else', () => 'e=other-error'],
  ])('ends at a server that answers with %s', async (_, answer) => {
    const scram = createScram('postgres', 'postgres')
    const refusal = await scram.final(answer(nonceOf(scram.first))).catch((error) => error)
    expect(isProbeFailure(refusal, 'garbled')).toBe(true)
  })
})
