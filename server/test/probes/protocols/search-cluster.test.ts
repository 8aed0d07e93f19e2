import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ask,
  elasticsearch,
  opensearch,
  type RealServer,
  startElasticsearch,
  startOpenSearch,
} from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

const PATIENT = { timeoutMilliseconds: 15_000 }
const START = 120_000

describe.each([
  {
    name: 'Elasticsearch 7.10',
    product: 'Elasticsearch',
    version: '7.10.2',
    program: elasticsearch,
    start: startElasticsearch,
  },
  {
    name: 'OpenSearch 2.19',
    product: 'OpenSearch',
    version: '2.19.1',
    program: opensearch,
    start: startOpenSearch,
  },
])('$name', ({ product, version, program, start }) => {
  describe.skipIf(!program.folder)(`without security (${program.needs})`, () => {
    let server: RealServer
    beforeAll(async () => {
      server = await start()
    }, START)
    afterAll(() => server?.close())

    it('is open, before and after it holds anything', async () => {
      const address = `elasticsearch://127.0.0.1:${server.port}`
      expect(await resultOf(address, PATIENT)).toMatchObject({
        ...{ verdict: 'open', how: 'no-credentials', product, version },
        evidence: 'counted 0 documents in 0 indices',
      })
      const { port } = server
      await ask({ port, path: '/customers/_doc?refresh=true', body: '{"email":"anna@example.com"}' })
      const found = await resultOf(address, PATIENT)
      expect(found.evidence).toBe('counted 1 document in 1 index')
      expect(JSON.stringify(found)).not.toMatch(/customers|anna/)
    })

    it('is recognised at a port that is not its own', async () => {
      const found = await resultOf(`127.0.0.1:${server.port}`, PATIENT)
      expect(found).toMatchObject({ verdict: 'open', protocol: 'elasticsearch', product })
    })
  })
})

describe.skipIf(!opensearch.folder)(
  `OpenSearch with its security plugin, over TLS (${opensearch.needs})`,
  () => {
    let server: RealServer
    let address: string

    beforeAll(async () => {
      server = await startOpenSearch({
        security: true,
        tls: true,
        securityFiles: { 'config.yml': configuration({ anonymous: false }) },
      })
      address = `opensearch://127.0.0.1:${server.port}`
    }, START)
    afterAll(() => server?.close())

    it('is open by the password of its demonstration', async () => {
      expect(await resultOf(address, PATIENT)).toMatchObject({
        ...{ verdict: 'open', how: 'default-password', product: 'OpenSearch' },
        evidence: expect.stringMatching(
          /^counted \d+ documents? in \d+ ind(ex|ices) as admin with a default password$/,
        ),
        tls: { version: 'TLSv1.3', verified: false, problem: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
      })
    })
  },
)

describe.skipIf(!opensearch.folder)(`OpenSearch with its security plugin (${opensearch.needs})`, () => {
  it(
    'is protected',
    async () => {
      const internal = '_meta:\n  type: internalusers\n  config_version: 2\n'
      const closed = await startOpenSearch({
        security: true,
        securityFiles: {
          'config.yml': configuration({ anonymous: false }),
          'internal_users.yml': internal,
        },
      })
      try {
        expect(await resultOf(`elasticsearch://127.0.0.1:${closed.port}`, PATIENT)).toMatchObject({
          ...{ verdict: 'protected', evidence: 'asks for credentials', product: 'OpenSearch' },
        })
        expect(await resultOf(`127.0.0.1:${closed.port}`, PATIENT)).toMatchObject({
          ...{ verdict: 'protected', protocol: 'elasticsearch' },
        })
      } finally {
        await closed.close()
      }
    },
    START,
  )

  it(
    'is open when strangers have a role',
    async () => {
      const anonymous = await startOpenSearch({
        security: true,
        securityFiles: {
          'config.yml': configuration({ anonymous: true }),
          'roles_mapping.yml':
            '_meta:\n  type: rolesmapping\n  config_version: 2\nreadall:\n  backend_roles: [opendistro_security_anonymous_backendrole]\n',
        },
      })
      try {
        expect(await resultOf(`elasticsearch://127.0.0.1:${anonymous.port}`, PATIENT)).toMatchObject({
          ...{ verdict: 'open', how: 'anonymous-role', product: 'OpenSearch' },
        })
      } finally {
        await anonymous.close()
      }
    },
    START,
  )
})

function configuration({ anonymous }: { anonymous: boolean }): string {
  return `_meta:
  type: config
  config_version: 2
config:
  dynamic:
    http:
      anonymous_auth_enabled: ${anonymous}
    authc:
      basic:
        http_enabled: true
        transport_enabled: true
        order: 0
        http_authenticator: { type: basic, challenge: ${!anonymous} }
        authentication_backend: { type: internal }
`
}
