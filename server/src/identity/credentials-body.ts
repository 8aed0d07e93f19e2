import type { IncomingMessage } from 'node:http'
import { AppError } from '../core/index.ts'

const MAX_BYTES = 8 * 1024

/**
 * E-mail address and password from a form or from JSON.
 * @throws AppError invalid_request, too_large
 */
export async function readCredentials(req: IncomingMessage): Promise<{ email: string; password: string }> {
  const [type = ''] = (req.headers['content-type'] ?? '').toLowerCase().split(';')
  const text = await readText(req)
  const fields = type.trim() === 'application/json' ? fromJson(text) : fromForm(type.trim(), text)
  const { email, password } = fields
  if (typeof email !== 'string' || typeof password !== 'string' || !email || !password) {
    throw new AppError('invalid_request', { message: 'Fill in the e-mail address and the password.' })
  }
  return { email, password }
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

function fromForm(type: string, text: string): Record<string, unknown> {
  if (type !== 'application/x-www-form-urlencoded') throw new AppError('invalid_request')
  return Object.fromEntries(new URLSearchParams(text))
}
