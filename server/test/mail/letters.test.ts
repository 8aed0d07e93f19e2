import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/core/index.ts'
import { compose, toPlain } from '../../src/mail/letters.ts'
import { connectionOf } from '../../src/mail/smtp.ts'

describe('a letter', () => {
  it('keeps what somebody typed within its line', () => {
    const code = new Secret('abc\r\nBcc: eve@example.org\u2028\u202eevil')
    const { text } = compose(toPlain({ kind: 'recovery_code', code }))
    expect(text).toContain('abc Bcc: eve@example.org evil\n')
  })

  it('has one subject for everybody', () => {
    const subject = (code: string) => compose(toPlain({ kind: 'recovery_code', code })).subject
    expect(subject('one')).toBe(subject('another'))
  })
})

describe('the way to the mail server', () => {
  it.each([
    ['smtps://mail.example', { port: 465, secure: true, ignoreTLS: false }],
    ['smtp://mail.example', { port: 587, secure: false, requireTLS: true, ignoreTLS: false }],
    ['smtp://localhost.evil.example:25', { port: 25, requireTLS: true, ignoreTLS: false }],
    ['smtp://10.0.0.1', { requireTLS: true, ignoreTLS: false }],
    ['smtp://127.0.0.1:2525', { port: 2525, requireTLS: false, ignoreTLS: true }],
    ['smtp://[::1]', { host: '::1', requireTLS: false, ignoreTLS: true }],
  ])('%s has TLS unless it is this machine', (url, expected) => {
    expect(connectionOf({ url: new Secret(url) })).toMatchObject(expected)
  })
})
