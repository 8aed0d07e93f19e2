import type { IncomingMessage } from 'node:http'
import { AppError } from '../core/index.ts'

/** A passkey with an RSA key and a self-made attestation is the largest that is sent. */
const MAX_BYTES = 16 * 1024

/**
 * The fields of a form or of a JSON object.
 * @throws AppError invalid_request, too_large
 */
export async function readFields(req: IncomingMessage): Promise<Record<string, unknown>> {
  const text = await readText(req)
  const type = (req.headers['content-type'] ?? '').toLowerCase().split(';')[0]?.trim()
  return type === 'application/json' ? fromJson(text) : fromForm(type, text)
}

/**
 * The same from a program or from our page's script: no foreign page can send JSON without being asked first.
 * @throws AppError invalid_request, too_large
 */
export async function readJsonFields(req: IncomingMessage): Promise<Record<string, unknown>> {
  if (!isJson(req)) throw new AppError('invalid_request')
  return fromJson(await readText(req))
}

export function isJson(req: IncomingMessage): boolean {
  return /^application\/json(;|$)/i.test(req.headers['content-type'] ?? '')
}

async function readText(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BYTES) throw new AppError('too_large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function fromJson(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Said below; the parser's own message would repeat what was typed.
  }
  if (typeof value !== 'object' || value === null) throw new AppError('invalid_request')
  return value as Record<string, unknown>
}

function fromForm(type: string | undefined, text: string): Record<string, unknown> {
  if (type !== 'application/x-www-form-urlencoded') throw new AppError('invalid_request')
  return Object.fromEntries(new URLSearchParams(text))
}
