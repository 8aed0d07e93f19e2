import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret, silentLog } from '../../src/core/index.ts'
import { createEmbeddedPostgres } from '../../src/embedded/index.ts'
import { lookAtDoors, lookAtFiles, lookAtPostgresSocket } from '../../src/guard/index.ts'

describe('what an installation is to a stranger', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'own-'))
    // PostgreSQL's own user must get through where the tests run as root.
    await chmod(directory, 0o711)
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  it('the embedded PostgreSQL asks for a password at its socket; nobody at it is told apart from one that speaks otherwise', async () => {
    const embedded = createEmbeddedPostgres({
      dataDir: join(directory, 'data'),
      password: new Secret('marked-password'),
      log: silentLog,
      onProgress: () => {},
    })
    try {
      const { host, port } = await embedded.start()
      const path = join(host ?? '', `.s.PGSQL.${port ?? 5432}`)
      expect(await lookAtPostgresSocket(path)).toMatchObject([
        { verdict: 'protected', product: 'PostgreSQL' },
      ])
    } finally {
      await embedded.close()
    }
    expect(await lookAtPostgresSocket(join(directory, 'none'))).toMatchObject([
      { verdict: 'silent', silence: 'refused' },
    ])
  })

  it.each([
    // AuthenticationOk, as a cluster with `trust` says it; AuthenticationSASL; ErrorResponse.
    ['"come in"', 'open', Buffer.from('5200000008000000005300000000', 'hex')],
    ['"your password?"', 'protected', Buffer.from('52000000170000000a534352414d2d5348412d3235360000', 'hex')],
    ['an error', 'protected', Buffer.from('450000006853464154414c00', 'hex')],
    ['another protocol', 'other', Buffer.from('HTTP/1.1 400 Bad Request\r\n')],
  ])('%s at the socket is %s', async (_what, verdict, answer) => {
    const path = join(directory, 'socket')
    const server = createServer((socket) => socket.end(answer))
    server.listen(path)
    await once(server, 'listening')
    try {
      expect(await lookAtPostgresSocket(path)).toMatchObject([{ verdict }])
    } finally {
      server.close()
    }
  })

  it.runIf(process.platform === 'linux')(
    'a port that was not declared is found, one that was is not',
    async () => {
      const server = createServer()
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      try {
        const [seen] = await lookAtDoors({ declared: () => [] })
        expect(seen).toMatchObject({ verdict: 'open', finding: 'door' })
        expect(seen?.evidence).toContain(`127.0.0.1 port ${port}`)
        expect((await lookAtDoors({ declared: () => [port] }))[0]?.evidence).not.toContain(`port ${port},`)
      } finally {
        server.close()
      }
    },
  )

  it('a file that other users can read is found, when they can get to it', async () => {
    const dataDir = join(directory, 'files')
    const rootKeyFile = join(directory, 'root.key')
    const programs = join(dataDir, 'runtime')
    await mkdir(programs, { recursive: true })
    await writeFile(join(dataDir, 'copy.duckdb'), '')
    await writeFile(join(programs, 'postgres'), '')
    await writeFile(rootKeyFile, '')
    const set = async (rights: Record<string, number>) => {
      for (const [path, mode] of Object.entries(rights)) await chmod(path, mode)
      return (await lookAtFiles({ directories: [dataDir], rootKeyFile, except: [programs] }))[0]
    }
    const tight = { [rootKeyFile]: 0o600, [join(dataDir, 'copy.duckdb')]: 0o600 }
    const enter = { [directory]: 0o711, [dataDir]: 0o755 }
    expect(await set({ ...enter, ...tight })).toMatchObject({ verdict: 'protected' })
    const found = await set({ [join(dataDir, 'copy.duckdb')]: 0o644 })
    expect(found).toMatchObject({ verdict: 'open', finding: 'file' })
    expect(found?.evidence).toMatch(/^1 readable .*copy\.duckdb$/)
    // Nobody gets there.
    expect(await set({ [directory]: 0o700 })).toMatchObject({ verdict: 'protected' })
    expect(await set({ [rootKeyFile]: 0o640 })).toMatchObject({ verdict: 'open', finding: 'file' })
  })
})
