import { Readable } from 'node:stream'
import Type from 'typebox'
import { AppError } from '../core/index.ts'
import type { Principal } from '../identity/index.ts'
import type { ExportRecord } from '../privacy/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom, freshSignIn } from './authentication.ts'
import { principalOf } from './principal.ts'

/** Characters that are sent at a time, at least. */
const CHUNK = 16_384

/**
 * Everything about the caller, as JSON Lines. It is written while it is read, page by page, each authorized by itself,
 * and no faster than the caller takes it; a sign-out ends it, as it ends a live stream.
 */
export function exportRoutes({ app, authenticate, limit, identity, privacy, live, clock }: RouteParts): void {
  app.get(
    '/v1/me/export',
    {
      onRequest: [authenticate.customer, limit.perAccount, limit.exports],
      schema: {
        summary: 'Everything about the caller, as JSON Lines; the last line says `end`',
        tags: ['account'],
        produces: ['application/x-ndjson'],
        response: { 200: Type.Unsafe<Readable>(Type.String()) },
      },
      preHandler: [freshSignIn(clock), byRoom],
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { accountId } = principal
      const slot = live.begin(principal)
      const records = privacy.export(accountId)
      // Before the answer begins: what refuses does so with a status.
      const first = await begin(records, principal).catch((error: unknown) => {
        slot.end('reconnect')
        throw error
      })
      const body = Readable.from(lines(first, records), { highWaterMark: 1 })
      slot.onClose(() => body.destroy())
      body.on('close', () => {
        slot.end('reconnect')
        // Also when nothing of it was read.
        void records.return(undefined)
      })
      return reply
        .type('application/x-ndjson')
        .header('content-disposition', 'attachment; filename="hearthlock-export.jsonl"')
        .send(body)
    },
  )

  /** It may have ended after this request was authenticated, and before its slot could be found. */
  async function begin(records: AsyncGenerator<ExportRecord>, principal: Principal) {
    if (!(await identity.isSessionLive(principal.sessionId))) throw new AppError('unauthenticated')
    if (!(await identity.resets.isCurrent(principal))) throw new AppError('unauthenticated')
    return await records.next()
  }
}

async function* lines(
  first: IteratorResult<ExportRecord, unknown>,
  records: AsyncGenerator<ExportRecord>,
): AsyncGenerator<string> {
  let chunk = first.done ? '' : `${JSON.stringify(first.value)}\n`
  for await (const record of records) {
    chunk += `${JSON.stringify(record)}\n`
    if (chunk.length < CHUNK) continue
    yield chunk
    chunk = ''
  }
  if (chunk) yield chunk
}
