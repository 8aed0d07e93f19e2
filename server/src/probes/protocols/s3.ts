import type { Http, HttpAnswer } from '../http.ts'
import { counted, httpProbe } from '../http-probe.ts'
import type { Observation } from '../observation.ts'
import { signS3 } from '../sign-s3.ts'
import type { Target } from '../target.ts'

/** Of MinIO, of its older documentation, and of S3Proxy's and LocalStack's examples. */
const DEFAULT_KEYS = [
  ['minioadmin', 'minioadmin'],
  ['minio', 'minio123'],
  ['local-identity', 'local-credential'],
  ['test', 'test'],
] as const
const PATH = '/'

export const s3 = httpProbe({
  protocol: 's3',
  aliases: ['minio'],
  name: 'S3-compatible buckets',
  defaultPorts: [9000, 8333, 3900],
  firstPath: PATH,
  async observe(http, target) {
    const product = /^MinIO\b/.test(http.first.headers.server ?? '') ? 'MinIO' : 'S3'
    const anonymous = listed(http.first)
    if (anonymous !== undefined) {
      return { verdict: 'open', how: 'no-credentials', evidence: anonymous, product }
    }
    if (!isS3Refusal(http.first)) return undefined
    const asks = { verdict: 'protected', evidence: 'asks for credentials', product } as const
    target.establish(asks)
    const byDefault = await readByDefaultKey(http, target)
    return byDefault ? { ...byDefault, product } : asks
  },
})

async function readByDefaultKey(http: Http, target: Target): Promise<Observation | undefined> {
  // By the server's own clock, which it compares with.
  const date = new Date(http.first.headers.date ?? Number.NaN)
  const keys = Number.isNaN(date.getTime()) ? [] : DEFAULT_KEYS
  for (const [accessKey, secretKey] of keys) {
    const headers = signS3({ target, path: PATH, accessKey, secretKey, date })
    const read = listed(await http.request({ path: PATH, headers }))
    if (read === undefined) continue
    const evidence = `${read} as ${accessKey} with a default password`
    return { verdict: 'open', how: 'default-password', evidence }
  }
  return undefined
}

/** A service's buckets, or a bucket's objects where the host names a bucket. Counted by their elements, names stay unread. */
function listed({ status, body, truncated }: HttpAnswer): string | undefined {
  if (status !== 200) return undefined
  const xml = body.toString('utf8')
  const more = truncated || /<IsTruncated>true</.test(xml) ? 'at least ' : ''
  if (/<ListAllMyBucketsResult[\s>]/.test(xml)) {
    return `listed ${more}${counted(xml.split('<Bucket>').length - 1, 'bucket', 'buckets')}`
  }
  if (/<ListBucketResult[\s>]/.test(xml)) {
    return `listed ${more}${counted(xml.split('<Contents>').length - 1, 'object', 'objects')}`
  }
  return undefined
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
function isS3Refusal({ status, body }: HttpAnswer): boolean {
  if (status !== 403 && status !== 401 && status !== 400) return false
  return /<Error>[\s\S]*<Code>(?:AccessDenied|AllAccessDisabled|InvalidAccessKeyId|SignatureDoesNotMatch)<\/Code>/.test(
    body.toString('utf8', 0, 8_192),
  )
}
