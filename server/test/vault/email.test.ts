import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Personal } from '../../src/core/index.ts'
import { checkEmail, checkName, normaliseEmail } from '../../src/vault/email.ts'
import { pad, unpad } from '../../src/vault/padding.ts'

const INVALID = expect.objectContaining({ code: 'invalid_request' })

describe('an e-mail address', () => {
  it.each([
    'a@b.example',
    'first.last+tag@sub.example.com',
    "o'hara_%x@example.com",
    'user@localhost',
    'jörg@bücher.example',
    '用户@例子.example',
    ' padded@example.com ',
    `${'l'.repeat(64)}@example.com`,
  ])('is taken: %s', (email) => checkEmail(new Personal(email)))

  it.each([
    '',
    ' ',
    '@',
    'plain',
    '@example.com',
    'user@',
    'a@b@c.example',
    'two words@example.com',
    'user@exa mple.com',
    'user@example..com',
    'user@.example.com',
    'user@example.com.',
    'user@-example.com',
    'user@example-.com',
    'user@exa_mple.com',
    'user@[127.0.0.1]',
    'user\u0000@example.com',
    'user\n@example.com',
    'user\u202e@example.com',
    'user\u200b@example.com',
    'user\ud800@example.com',
    'user\u2028@example.com',
    'user@example.com\u0007',
    `${'l'.repeat(65)}@example.com`,
    `${'é'.repeat(33)}@example.com`,
    `l@${'d'.repeat(64)}.example`,
    `l@${`${'d'.repeat(60)}.`.repeat(5)}example`,
  ])('is refused: %j', (email) => {
    expect(() => checkEmail(new Personal(email))).toThrow(INVALID)
  })

  it('is checked without repeating it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 8 }), (email) => {
        try {
          checkEmail(new Personal(email))
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_request', message: 'This is not an e-mail address.' })
          expect((error as { detail?: string }).detail).toBeUndefined()
        }
      }),
    )
  })

  it('has one normal form', () => {
    fc.assert(
      fc.property(fc.oneof(fc.emailAddress(), fc.string({ unit: 'grapheme' })), (email) => {
        const normal = normaliseEmail(email)
        expect(normaliseEmail(normal)).toBe(normal)
        expect(normaliseEmail(` ${email.normalize('NFD')}\n`)).toBe(normal)
      }),
    )
  })
})

describe('a name', () => {
  it.each(['A', 'Ada Lovelace', 'José', '山田 太郎', "O'Hara-Smith", 'N'.repeat(254)])(
    'is taken: %s',
    (name) => checkName(new Personal(name)),
  )

  it.each(['', '  ', 'a\u0000b', 'a\nb', 'a\u202eb', 'a\ud800', 'N'.repeat(255)])(
    'is refused: %j',
    (name) => {
      expect(() => checkName(new Personal(name))).toThrow(INVALID)
    },
  )
})

describe('padding', () => {
  it('gives every text one length, and the text back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(pad(text)).toHaveLength(256)
        expect(unpad(pad(text))).toBe(text)
      }),
    )
  })

  it('refuses what does not fit, and what was never padded', () => {
    expect(() => pad('x'.repeat(255))).toThrow(expect.objectContaining({ code: 'too_large' }))
    const integrity = expect.objectContaining({ code: 'integrity_failed' })
    expect(() => unpad(Buffer.alloc(3))).toThrow(integrity)
    expect(() => unpad(Buffer.alloc(256, 0xff))).toThrow(integrity)
  })
})
