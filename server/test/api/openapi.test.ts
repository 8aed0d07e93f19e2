import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import { newCustomer, newOperator, type Rooms, startRooms } from '../support/start-rooms.ts'

interface Operation {
  security?: { dpop: [] }[]
  responses: Record<string, { content?: Record<string, { schema: object }> }>
  requestBody?: { content: Record<string, { schema: object }> }
}
type Document = {
  openapi: string
  servers: { url: string }[]
  paths: Record<string, Record<string, Operation>>
}

const open = [
  '/v1/sign-up',
  '/v1/sign-up/confirm',
  '/v1/recovery',
  '/v1/recovery/complete',
  '/v1/operators',
  '/v1/device-authority',
  '/healthz',
  '/readyz',
]

describe('the OpenAPI document', () => {
  let rooms: Rooms
  let document: Document
  let customer: Client
  let operator: Client
  beforeAll(async () => {
    rooms = await startRooms({
      limits: {
        operatorEnrolmentsPer10MinutesPerAddress: 10_000,
        refusedClaimsPer10MinutesPerAccount: 10_000,
      },
    })
    document = (await (await fetch(`${rooms.url}/v1/openapi.json`)).json()) as Document
    customer = await newCustomer(rooms)
    operator = await newOperator(rooms)
  })
  afterAll(() => rooms.close())

  const operations = () =>
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        path,
        method: method.toUpperCase(),
        operation,
      })),
    )

  it('is OpenAPI 3.1 and names this server', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(document.servers).toEqual([{ url: rooms.url }])
  })

  it('holds every route of the API', () => {
    const documented = operations().map(({ path, method }) => `${method} ${path}`)
    const served = rooms.api
      .routes()
      .filter(({ url }) => url.startsWith('/v1/') && url !== '/v1/openapi.json')
      .map(({ method, url }) => `${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`)
    expect(documented).toEqual(expect.arrayContaining(served))
  })

  it('says of each route whether it needs a session, and how it refuses', () => {
    for (const { path, operation } of operations()) {
      expect({ path, security: operation.security }).toEqual({
        path,
        security: open.includes(path) ? undefined : [{ dpop: [] }],
      })
      expect(operation.responses['4XX']?.content).toHaveProperty(['application/problem+json'])
    }
  })

  it('every object that is taken refuses unknown properties', () => {
    const loose: string[] = []
    const look = (schema: unknown, at: string): void => {
      if (typeof schema !== 'object' || schema === null) return
      const { type, properties, additionalProperties } = schema as Record<string, unknown>
      if (type === 'object' && properties && additionalProperties !== false) loose.push(at)
      for (const [key, value] of Object.entries(schema)) look(value, `${at}/${key}`)
    }
    for (const { path, operation } of operations()) look(operation.requestBody, path)
    expect(loose).toEqual([])
  })

  it('no body, however odd, makes a route fail', async () => {
    const takers = operations().filter(({ operation }) => operation.requestBody)
    expect(takers.length).toBeGreaterThan(6)
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\u0000', '%s', "'; --", 'DoorLock.LockDoor', 'hearth-lock'),
    )
    const value = fc.oneof(text, fc.double(), fc.integer(), fc.boolean(), fc.constant(null), fc.object())
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...takers),
        fc.record({
          email: value,
          name: value,
          password: value,
          code: value,
          nickname: value,
          model: value,
          count: value,
          command: value,
          arguments: fc.object(),
          endpoint: value,
          clusters: fc.array(value),
          commands: fc.object(),
        }),
        fc.boolean(),
        async ({ path, method, operation }, odd, fitting) => {
          const schema = operation.requestBody?.content['application/json']?.schema as {
            properties: Record<string, object>
          }
          const body = fitting
            ? Object.fromEntries(Object.entries(odd).filter(([name]) => name in schema.properties))
            : odd
          const url = path.replaceAll(/\{\w+\}/g, '0f8fad5b-d9cb-469f-a165-70867728950e')
          const client = path.startsWith('/v1/models') || path === '/v1/devices' ? operator : customer
          const error = await client
            .request(method, url, { body, signedIn: operation.security !== undefined })
            .then(
              () => ({ status: 200 }),
              (caught) => caught,
            )
          expect(error.status).toBeGreaterThanOrEqual(200)
          expect(error.status).toBeLessThan(500)
        },
      ),
      { numRuns: 250 },
    )
  }, 60_000)
})
