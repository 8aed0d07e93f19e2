import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLog, Personal, Secret } from '../../src/core/index.ts'

describe('redacting types', () => {
  it.each([Secret, Personal])('%o prints nothing of its value in any form', (Kind) => {
    const value = 'ada@example.org'
    const wrapped = new Kind(value)
    const forms = [
      `${wrapped}`,
      String(wrapped),
      JSON.stringify({ wrapped }),
      inspect(wrapped, { showHidden: true, depth: 9 }),
      inspect({ wrapped }),
      Object.values(wrapped).join(),
      JSON.stringify(structuredClone({ ...wrapped })),
    ]
    for (const form of forms) expect(form).not.toContain('ada')
    expect(wrapped.reveal()).toBe(value)
  })

  it('a log line with personal data in any field prints none of it', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 12 }), (value) => {
        const lines: string[] = []
        const log = createLog({ destination: { write: (line) => void lines.push(line) } })
        log.info('hello', { email: new Personal(value), nested: { token: [new Secret(value)] } })
        expect(JSON.parse(lines.join('')).email).toBe('[redacted]')
        expect(JSON.parse(lines.join('')).nested.token).toEqual(['[redacted]'])
      }),
    )
  })

  it('a foreign error in a log line shows its code, never its message or detail', () => {
    const lines: string[] = []
    const log = createLog({ destination: { write: (line) => void lines.push(line) } })
    const error = Object.assign(new Error('Key (email)=(ada@example.org) already exists'), {
      code: '23505',
      detail: 'ada@example.org',
    })
    log.error('insert failed', { error })
    expect(lines.join('')).toContain('23505')
    expect(lines.join('')).not.toContain('ada@example.org')
  })
})
