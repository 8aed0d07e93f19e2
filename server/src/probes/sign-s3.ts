import { createHash, createHmac } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { Target } from './target.ts'

export interface SignedRequest {
  target: Pick<Target, 'host' | 'port'>
  path: string
  accessKey: string
  secretKey: string
  date: Date
}

/** Any will do for services of one region; MinIO and most others take this one. */
const REGION = 'us-east-1'
const NO_BODY = sha256('')

/** AWS Signature Version 4 of a GET without a body and without a query, as S3 wants it. */
export function signS3({ target, path, accessKey, secretKey, date }: SignedRequest): Record<string, string> {
  const at = date.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = at.slice(0, 8)
  const host = `${isIPv6(target.host) ? `[${target.host}]` : target.host}:${target.port}`
  const headers = { host, 'x-amz-content-sha256': NO_BODY, 'x-amz-date': at }
  const names = Object.keys(headers).join(';')
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
  const request = ['GET', path, '', lines.join(''), names, NO_BODY].join('\n')
  const scope = `${day}/${REGION}/s3/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', at, scope, sha256(request)].join('\n')
  const key = [day, REGION, 's3', 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${secretKey}`)
  const signature = hmac(key, toSign).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`
  return { ...headers, authorization }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
