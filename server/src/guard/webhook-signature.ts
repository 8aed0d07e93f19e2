import { createHmac } from 'node:crypto'
import { AppError, type Secret } from '../core/index.ts'

/** Standard Webhooks, "Signature scheme": 24 to 64 random bytes, in base64 behind `whsec_`. */
const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/

/** @throws AppError start_refused */
export function webhookKey(secret: Secret): Buffer {
  const [, text = ''] = SECRET.exec(secret.reveal()) ?? []
  const key = Buffer.from(text, 'base64')
  if (key.length < 24 || key.length > 64) {
    throw new AppError('start_refused', {
      message:
        'HEARTHLOCK_GUARD_WEBHOOK_SECRET must be whsec_ and 24 to 64 random bytes in base64. One is made by: echo "whsec_$(openssl rand -base64 32)"',
    })
  }
  return key
}

/** The headers of one attempt: the id stays over attempts, the time is the attempt's own. */
export function signedHeaders(o: {
  key: Buffer
  id: string
  body: string
  nowMs: number
}): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const seconds = String(Math.floor(o.nowMs / 1000))
  const mac = createHmac('sha256', o.key).update(`${o.id}.${seconds}.${o.body}`).digest('base64')
  return { 'webhook-id': o.id, 'webhook-timestamp': seconds, 'webhook-signature': `v1,${mac}` }
}
