import { describe, expect, it } from 'vitest'
import { createCookieJar } from '../../src/client/cookie-jar.ts'

function jarWith(...cookies: string[]) {
  const jar = createCookieJar()
  const headers = new Headers()
  for (const cookie of cookies) headers.append('set-cookie', cookie)
  jar.take(new Response(null, { headers }))
  return jar
}
const at = (path: string) => new URL(path, 'http://127.0.0.1')

describe('the cookies of a sign-in', () => {
  it('a cookie goes back below its path only', () => {
    const jar = jarWith('a=1; path=/oauth/auth/x; httponly', 'b=2; path=/; httponly')
    expect(jar.headerFor(at('/oauth/auth/x'))).toBe('a=1; b=2')
    expect(jar.headerFor(at('/oauth/auth/x/y'))).toBe('a=1; b=2')
    expect(jar.headerFor(at('/oauth/auth/xy'))).toBe('b=2')
  })

  it('a cookie that the server ends is forgotten', () => {
    const jar = jarWith('a=1; path=/', 'b=2; path=/', 'b=; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT')
    expect(jar.headerFor(at('/'))).toBe('a=1')
  })

  it('values keep their equals signs', () => {
    expect(jarWith('a=b=c; path=/').headerFor(at('/'))).toBe('a=b=c')
  })
})
