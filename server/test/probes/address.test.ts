import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isAppError } from '../../src/core/index.ts'
import { parseAddress } from '../../src/probes/index.ts'

describe('an address', () => {
  it.each([
    ['db.example.net', { host: 'db.example.net' }],
    ['db.example.net:7000', { host: 'db.example.net', port: 7000 }],
    ['redis://db.example.net', { scheme: 'redis', host: 'db.example.net' }],
    ['REDIS://192.0.2.1:6379/', { scheme: 'redis', host: '192.0.2.1', port: 6379 }],
    ['[2001:db8::1]', { host: '2001:db8::1' }],
    ['mqtts://[2001:db8::1]:8883', { scheme: 'mqtts', host: '2001:db8::1', port: 8883 }],
    ['bücher.example', { host: 'xn--bcher-kva.example' }],
    ['under_score', { host: 'under_score' }],
  ])('%s is read', (text, read) => {
    expect(parseAddress(text)).toEqual({ text, ...read })
  })

  it.each([
    ['', 'written as'],
    ['2001:db8::1', 'brackets'],
    ['[db.example.net]:1', 'not an IPv6 address'],
    ['db.example.net:0', 'from 1 to 65535'],
    ['db.example.net:65536', 'from 1 to 65535'],
    ['db.example.net:port', 'written as'],
    ['192.0.2.0/24', 'no range'],
    ['http://db.example.net/path', 'no path'],
    ['db.example.net?x=y', 'host name'],
    ['-host', 'host name'],
    ['127.1', 'four numbers'],
    ['2130706433', 'four numbers'],
    ['0x7f000001', 'four numbers'],
    ['192.0.2.999', 'four numbers'],
    [`${'a'.repeat(301)}`, 'longer'],
  ])('%s is refused in words that help', (text, words) => {
    expect(() => parseAddress(text)).toThrow(words)
  })

  it('with a user name or a password is refused, and not repeated', () => {
    expect(() => parseAddress('postgres://operator:the-password@db.example.net/x')).toThrow(
      /^(?!.*(?:operator|the-password)).*Leave user names/,
    )
  })

  it('that is none is refused, and does not fall over', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
        try {
          const { host, port } = parseAddress(text)
          expect(host).toMatch(/^[a-z0-9_.:-]+$/i)
          if (port !== undefined) expect(port).toBeGreaterThan(0)
        } catch (error) {
          expect(isAppError(error, 'invalid_request')).toBe(true)
        }
      }),
    )
  })
})
