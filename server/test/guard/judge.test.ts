import { describe, expect, it } from 'vitest'
import { judge } from '../../src/guard/judge.ts'
import type { Observed, StoreState } from '../../src/guard/watched.ts'

const open: Observed = {
  verdict: 'open',
  protocol: 'redis',
  evidence: '3 keys',
  product: 'Redis',
  version: '8',
}
const shut: Observed = { verdict: 'protected', protocol: 'redis', evidence: 'NOAUTH' }
const other: Observed = { verdict: 'other', protocol: 'redis', evidence: 'HTTP' }
const refused: Observed = {
  verdict: 'silent',
  silence: 'refused',
  protocol: 'redis',
  evidence: 'nothing listens',
}
const late: Observed = { verdict: 'silent', silence: 'timed-out', protocol: 'redis', evidence: 'no answer' }
const tls = (verified: boolean): Observed => ({
  ...shut,
  tls: { version: 'TLSv1.3', verified, ...(!verified && { problem: 'CERT_HAS_EXPIRED' }) },
})

/** What each of these looks, in a row, leads to. */
function looks(...observed: Observed[][]) {
  let before: StoreState | undefined
  return observed.map((each, nowMs) => {
    const judged = judge({ before, observed: each, mayBeOpen: false, nowMs })
    before = judged.state
    return { found: judged.found.map(({ kind }) => kind), over: judged.over, state: judged.state }
  })
}
const found = (...observed: Observed[][]) => looks(...observed).map((each) => each.found)
const over = (...observed: Observed[][]) => looks(...observed).map((each) => each.over)

describe('what a look means', () => {
  it('an open store is found at the first look, and says what a stranger read', () => {
    const [first] = looks([open])
    expect(first?.found).toEqual(['open'])
    const judged = judge({ before: undefined, observed: [open], mayBeOpen: false, nowMs: 0 })
    expect(judged.found).toEqual([{ kind: 'open', evidence: 'Redis 8: 3 keys' }])
  })

  it('one open port among many is enough', () => {
    expect(found([shut, refused, open])).toEqual([['open']])
  })

  it('what answers anybody by design is no finding', () => {
    expect(judge({ before: undefined, observed: [open], mayBeOpen: true, nowMs: 0 }).found).toEqual([])
  })

  it('its end needs three proofs in a row: one that flaps stays open', () => {
    expect(
      over([open], [shut], [shut], [open], [shut], [shut], [shut]).map((each) => each.includes('open')),
    ).toEqual([false, false, false, false, false, false, true])
  })

  it('a time-out, or something else that answers, proves nothing; a refused connection does', () => {
    for (const doubtful of [late, other]) {
      expect(over([open], [doubtful], [doubtful], [doubtful], [doubtful]).at(-1)).not.toContain('open')
    }
    expect(over([open], [refused], [refused], [refused]).at(-1)).toContain('open')
    expect(over([open], [shut, late], [shut, late], [shut, late]).at(-1)).not.toContain('open')
    expect(over([open], [], [], []).at(-1)).toEqual([])
  })

  it('what asked for credentials, and is something else three times, is a finding; what always was is none', () => {
    expect(found([shut], [other], [other], [other])).toEqual([[], [], [], ['changed']])
    expect(found([shut], [other], [other], [shut], [other])).toEqual([[], [], [], [], []])
    expect(found([other], [other], [other], [other])).toEqual([[], [], [], []])
    expect(over([shut], [other], [other], [other], [shut], [shut], [shut]).at(-1)).toContain('changed')
    // Gone is not the same as asking for credentials again.
    expect(over([shut], [other], [other], [other], [refused], [refused], [refused]).at(-1)).not.toContain(
      'changed',
    )
  })

  it('a certificate that verified before and fails three times is a finding; a self-signed one is none', () => {
    expect(found([tls(true)], [tls(false)], [tls(false)], [tls(false)])).toEqual([
      [],
      [],
      [],
      ['certificate'],
    ])
    expect(found([tls(false)], [tls(false)], [tls(false)], [tls(false)])).toEqual([[], [], [], []])
    expect(over([tls(true)], [tls(true)], [tls(true)]).at(-1)).toContain('certificate')
  })

  it('names another kind where open means something else', () => {
    expect(found([{ ...open, finding: 'door' }])).toEqual([['door']])
  })
})
