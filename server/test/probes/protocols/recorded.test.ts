import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { resultOf } from '../listeners.ts'
import { type Answer, type Recording, recordings } from './recorded.ts'

/** How many answers tell; the first, unless a probe has to be refused as well. */
const CERTAIN_AFTER: Record<string, number> = { kibana: 3, couchdb: 2 }
const asked: { method: string; url: string }[] = []
let close = async () => {}
afterEach(async () => {
  asked.length = 0
  await close()
})

/** Falls silent after so many requests. */
async function play({ answers }: Recording, patience = Number.POSITIVE_INFINITY): Promise<number> {
  let requests = 0
  const server = createServer((request, response) => {
    asked.push({ method: request.method ?? '', url: request.url ?? '' })
    requests += 1
    if (requests > patience) return
    const answer = answers[request.url ?? '']
    if (answer) send(request, response, answer)
    else response.writeHead(404).end()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  close = () =>
    new Promise((closed) => {
      server.close(() => closed())
      server.closeAllConnections()
    })
  return (server.address() as AddressInfo).port
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body, as }: Answer,
): void {
  const key = as && `Basic ${Buffer.from(`${as.user}:${as.password}`).toString('base64')}`
  if (as && request.headers.authorization === key) response.writeHead(200, { ...headers }).end(as.body)
  else response.writeHead(status, headers).end(body)
}

describe('recorded answers', () => {
  it.each(recordings)('of $name are understood', async (recording) => {
    const { protocol, expected } = recording
    const port = await play(recording)
    expect(await resultOf(`${protocol}://127.0.0.1:${port}`)).toMatchObject({ ...expected, protocol })
    const changing = asked.filter(
      ({ method, url }) => method !== 'GET' && !url.startsWith('/api/console/proxy?'),
    )
    expect(changing).toEqual([])
  })

  it.each(recordings.filter(({ expected }) => expected.verdict !== 'other'))(
    'of $name are recognised at a port of which nothing is known',
    async (recording) => {
      const port = await play(recording)
      const { protocol, expected } = recording
      expect(await resultOf(`127.0.0.1:${port}`)).toMatchObject({ protocol, verdict: expected.verdict })
    },
  )

  it('name where they are from', () => {
    for (const { origin } of recordings) expect(origin).toMatch(/\w+\.\w+|a published/)
  })
})

describe('what has been seen for certain', () => {
  const slow = recordings.filter(({ name }) =>
    /Elasticsearch with its own|Dashboards that asks|Kibana that asks|CouchDB as|MinIO|everybody is|offers its/.test(
      name,
    ),
  )
  it.each(slow)('of $name stands when the server falls silent after it', async (recording) => {
    const { protocol, expected } = recording
    const port = await play(recording, CERTAIN_AFTER[protocol] ?? 1)
    const found = await resultOf(`${protocol}://127.0.0.1:${port}`, { timeoutMilliseconds: 800 })
    expect(found).toMatchObject({
      verdict: expected.verdict,
      product: expected.product ?? expect.any(String),
    })
  })
})
