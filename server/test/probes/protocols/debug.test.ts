import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  answers,
  influxdb,
  jolokia,
  type RealServer,
  startInfluxdb,
  startJolokia,
  startReal,
} from '../../support/real-servers/index.ts'
import { program } from '../../support/real-servers/programs.ts'
import { resultOf } from '../listeners.ts'

const chromium = program('chromium', { debian: 'chromium' })

describe('the inspector of Node.js', () => {
  let server: RealServer
  beforeAll(async () => {
    server = await startReal({
      command: process.execPath,
      arrange: ({ port }) => [`--inspect=127.0.0.1:${port}`, '-e', 'setInterval(() => {}, 1000)'],
      ready: ({ port }) => answers({ port, path: '/json/version' }),
    })
  })
  afterAll(() => server?.close())

  it('is open to whoever reaches it, also when it is asked for by a name', async () => {
    for (const scheme of ['inspector://', '']) {
      expect(await resultOf(`${scheme}127.0.0.1:${server.port}`)).toMatchObject({
        ...{ verdict: 'open', protocol: 'inspector', product: 'Node.js', how: 'no-credentials' },
        ...{ evidence: 'listed 1 target that can be debugged', version: expect.stringMatching(/^v\d/) },
      })
    }
    const byName = { resolve: async () => ['127.0.0.1'] }
    expect(await resultOf(`inspector://build.example:${server.port}`, byName)).toMatchObject({
      verdict: 'open',
    })
  })
})

describe.skipIf(!chromium.path)(`the inspector of Chromium (${chromium.needs})`, () => {
  it('is open to whoever reaches it', async () => {
    const server = await startReal({
      command: chromium.path ?? chromium.name,
      arrange: ({ port, directory }) => [
        ...[
          '--headless',
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--no-first-run',
          '--disable-sync',
        ],
        ...[
          '--disable-background-networking',
          '--disable-component-update',
          `--user-data-dir=${directory}/profile`,
        ],
        ...[`--remote-debugging-port=${port}`, 'about:blank'],
      ],
      ready: ({ port }) => answers({ port, path: '/json/version' }),
    })
    try {
      expect(await resultOf(`127.0.0.1:${server.port}`)).toMatchObject({
        ...{
          verdict: 'open',
          protocol: 'inspector',
          product: 'Chromium',
          evidence: expect.stringMatching(/^listed [1-9]/),
        },
      })
    } finally {
      await server.close()
    }
  })
})

describe.skipIf(!jolokia.folder)(`Jolokia (${jolokia.needs})`, () => {
  let open: RealServer
  let closed: RealServer
  beforeAll(async () => {
    ;[open, closed] = await Promise.all([
      startJolokia({}),
      startJolokia({ user: { name: 'operator', password: 'a-password' } }),
    ])
  }, 60_000)
  afterAll(async () => {
    await open?.close()
    await closed?.close()
  })

  it('is open when it reads attributes for anybody', async () => {
    for (const scheme of ['jolokia://', '']) {
      expect(await resultOf(`${scheme}127.0.0.1:${open.port}`)).toMatchObject({
        ...{ verdict: 'open', protocol: 'jolokia', version: '2.1.2', how: 'no-credentials' },
        evidence: 'read an attribute of a managed object',
      })
    }
  })

  it('is protected with a password', async () => {
    for (const scheme of ['jolokia://', '']) {
      const found = await resultOf(`${scheme}127.0.0.1:${closed.port}`)
      expect(found).toMatchObject({ verdict: 'protected', protocol: 'jolokia' })
    }
  })
})

describe.skipIf(!influxdb.path)(`debug pages of Go (${influxdb.needs})`, () => {
  it('are read where a store leaves them to strangers, though it asks them for a password', async () => {
    const server = await startInfluxdb({ auth: true })
    try {
      expect(await resultOf(`influxdb://127.0.0.1:${server.port}`)).toMatchObject({ verdict: 'protected' })
      expect(await resultOf(`expvar://127.0.0.1:${server.port}`)).toMatchObject({
        ...{ verdict: 'open', protocol: 'go-debug', evidence: expect.stringContaining('read its variables') },
      })
    } finally {
      await server.close()
    }
  })
})
