import { afterEach, describe, expect, it } from 'vitest'
import { isAppError } from '../../src/core/index.ts'
import { createListeners, resultOf, resultsOf } from './listeners.ts'

const listeners = createListeners()
const { listen } = listeners
afterEach(() => listeners.close())

describe('probing addresses', () => {
  it('tells a port where nothing listens from one that says nothing', async () => {
    const port = await listen((socket) => socket.resume())
    const silent = await resultOf(`redis://127.0.0.1:${port}`, { timeoutMilliseconds: 300 })
    expect(silent).toMatchObject({ verdict: 'silent', silence: 'timed-out', port, ip: '127.0.0.1' })
    await listeners.close()
    const refused = await resultOf(`redis://127.0.0.1:${port}`)
    expect(refused).toMatchObject({ verdict: 'silent', silence: 'refused' })
  })

  it('says that a name has no address', async () => {
    const found = await resultsOf(['redis://store.invalid:6379'], { resolve: async () => [] })
    expect(found).toMatchObject([{ verdict: 'silent', silence: 'unresolved', protocol: 'redis' }])
  })

  it('asks every address of a name, and resolves it once', async () => {
    const port = await listen((socket) => socket.end('what?\r\n'))
    const asked: string[] = []
    const resolve = async (host: string) => {
      asked.push(host)
      return ['127.0.0.1', '127.0.0.2']
    }
    const found = await resultsOf([`redis://store.example:${port}`], { resolve })
    expect(found.map(({ ip, verdict }) => `${ip} ${verdict}`).sort()).toEqual([
      '127.0.0.1 other',
      '127.0.0.2 silent',
    ])
    expect(asked).toEqual(['store.example'])
  })

  it('ends in time where a server streams for ever', async () => {
    const port = await listen((socket) => {
      const chunk = Buffer.alloc(65_536, 'x')
      const push = () => {
        while (socket.writable && socket.write(chunk));
      }
      socket.on('drain', push)
      push()
    })
    const found = await resultOf(`redis://127.0.0.1:${port}`)
    expect(found.verdict).toBe('other')
  })

  it('contacts nobody when one of the addresses cannot be read', async () => {
    let connections = 0
    const port = await listen(() => {
      connections += 1
    })
    const refusal = await resultsOf([`redis://127.0.0.1:${port}`, 'redis://user:secret@host']).catch((e) => e)
    expect(isAppError(refusal, 'invalid_request')).toBe(true)
    expect(refusal.message).not.toContain('secret')
    expect(connections).toBe(0)
  })

  it('keeps to its rate', async () => {
    let connections = 0
    const port = await listen((socket) => {
      connections += 1
      socket.end('-ERR unknown\r\n')
    })
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 500)
    const addresses = Array.from({ length: 40 }, (_, index) => `redis://store-${index}.example:${port}`)
    const resolve = async () => ['127.0.0.1']
    await resultsOf(addresses, { resolve, ratePerSecond: 10, signal: stop.signal })
    expect(connections).toBeLessThanOrEqual(6)
  })

  it('says protected also when the server hangs up, or falls silent, while default passwords are tried', async () => {
    for (const end of ['', 'hang up']) {
      const port = await listen((socket) => {
        socket.once('data', () => {
          socket.write('-NOAUTH Authentication required.\r\n')
          if (end) socket.end()
        })
      })
      const result = await resultOf(`redis://127.0.0.1:${port}`, { timeoutMilliseconds: 400 })
      expect(result).toMatchObject({ verdict: 'protected', evidence: 'asks for a password' })
    }
  })

  it('tells how many of the ports are done', async () => {
    const port = await listen((socket) => socket.end('what?\r\n'))
    const seen: string[] = []
    await resultsOf([`redis://127.0.0.1:${port}`, `mongodb://127.0.0.1:${port}`], {
      onProgress: ({ done, total }) => seen.push(`${done}/${total}`),
    })
    expect(seen.at(-1)).toBe('2/2')
  })
})
