import { afterEach, describe, expect, it } from 'vitest'
import { mariadb, type RealServer, startMariadb } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

const OWN_PASSWORD = "ALTER USER root@localhost IDENTIFIED BY 'a-password-of-its-own'"

const OTHER_ADDRESSES = [
  "CREATE USER operator@'192.0.2.1'",
  "DELETE FROM mysql.global_priv WHERE Host <> '192.0.2.1'",
  'FLUSH PRIVILEGES',
]

describe.skipIf(!mariadb.path)(`MySQL's protocol (${mariadb.needs})`, () => {
  const started: RealServer[] = []
  afterEach(() => Promise.all(started.splice(0).map((server) => server.close())))
  async function start(options: Parameters<typeof startMariadb>[0]): Promise<number> {
    const server = await startMariadb(options)
    started.push(server)
    return server.port
  }

  it('without a password for root is open', async () => {
    const port = await start({ tls: true })
    const open = {
      protocol: 'mysql',
      verdict: 'open',
      how: 'no-credentials',
      evidence: expect.stringMatching(/^counted \d+ schemas as root$/),
      product: 'MariaDB',
      tls: { verified: false },
    }
    expect(await resultOf(`mysql://127.0.0.1:${port}`)).toMatchObject(open)
    expect(await resultOf(`127.0.0.1:${port}`)).toMatchObject(open)
  })

  it.each([
    ['a password of its own', [OWN_PASSWORD], 'protected', undefined],
    ['a default password', ["ALTER USER root@localhost IDENTIFIED BY 'root'"], 'open', 'default-password'],
    ['an anonymous user', [OWN_PASSWORD, "CREATE USER ''@localhost"], 'open', 'anonymous-role'],
    ['users of other addresses only', OTHER_ADDRESSES, 'protected', undefined],
  ])('with %s is told', async (_, statements, verdict, how) => {
    const port = await start({ statements })
    const result = await resultOf(`mysql://127.0.0.1:${port}`)
    expect([result.verdict, result.how]).toEqual([verdict, how])
  })
})
