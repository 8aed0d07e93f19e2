import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileSessionStore, type StoredSession } from '../../src/client/index.ts'
import { Secret } from '../../src/core/index.ts'

const session: StoredSession = {
  baseUrl: 'http://127.0.0.1:8080',
  clientId: 'hearthlock-cli',
  privateJwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'd' },
  accessToken: new Secret('the access token'),
  accessExpiresAtMs: 1,
  refreshToken: new Secret('the refresh token'),
}

describe('the session file', () => {
  let directory: string
  let path: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hearthlock-session-'))
    path = join(directory, 'inner', 'session.json')
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('only its owner can read it, and its directory', async () => {
    await fileSessionStore(path).save(session)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(directory, 'inner'))).mode & 0o777).toBe(0o700)
  })

  it('another process finds the session as it was saved', async () => {
    await fileSessionStore(path).save(session)
    const found = await fileSessionStore(path).load()
    expect(found?.accessToken.reveal()).toBe('the access token')
    expect(found?.refreshToken.reveal()).toBe('the refresh token')
    expect(found?.privateJwk).toEqual(session.privateJwk)
  })

  it('saving leaves nothing else behind, and clearing nothing at all', async () => {
    const store = fileSessionStore(path)
    await store.exclusively(() => store.save(session))
    expect(await readdir(join(directory, 'inner'))).toEqual(['session.json'])
    await store.clear()
    expect(await store.load()).toBeUndefined()
    expect(await readdir(join(directory, 'inner'))).toEqual([])
  })

  it('a file that others can read is refused', async () => {
    const store = fileSessionStore(path)
    await store.save(session)
    await chmod(path, 0o640)
    await expect(store.load()).rejects.toThrow(/Others can read/)
  })

  it.each(['', '{', '{"format":2}', '{"format":1}', '[]', 'null'])(
    'a file that is not ours (%s) counts as no session',
    async (text) => {
      const file = join(directory, 'session.json')
      await writeFile(file, text, { mode: 0o600 })
      expect(await fileSessionStore(file).load()).toBeUndefined()
    },
  )

  it('two that share the file take turns', async () => {
    const order: string[] = []
    const work = (name: string) => async () => {
      order.push(`${name} begins`)
      await new Promise((resolve) => setImmediate(resolve))
      order.push(`${name} ends`)
    }
    await Promise.all([
      fileSessionStore(path).exclusively(work('one')),
      fileSessionStore(path).exclusively(work('two')),
    ])
    expect(order[1]).toBe(order[0]?.replace('begins', 'ends'))
    expect(order[3]).toBe(order[2]?.replace('begins', 'ends'))
  })
})
