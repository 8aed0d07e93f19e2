import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { makeKeyStore } from './certificate.ts'
import { ask } from './over-http.ts'
import { type RealServer, startReal } from './process.ts'
import { javaProgram } from './programs.ts'

/** An S3 server over a folder. */
export const s3proxy = javaProgram('s3proxy')

export interface S3proxyOptions {
  /** Who is let in; nobody has to say who they are without it. */
  user?: { name: string; password: string }
  tls?: boolean
  buckets?: string[]
}

export function startS3proxy(o: S3proxyOptions = {}): Promise<RealServer> {
  const scheme = o.tls ? 'https' : 'http'
  return startReal({
    command: s3proxy.java,
    async arrange({ port, directory, write }) {
      for (const each of o.buckets ?? []) await mkdir(join(directory, 'data', each), { recursive: true })
      await mkdir(join(directory, 'data'), { recursive: true })
      const lines = [`s3proxy.${o.tls ? 'secure-' : ''}endpoint=${scheme}://127.0.0.1:${port}`]
      lines.push('jclouds.provider=filesystem', `jclouds.filesystem.basedir=${directory}/data`)
      if (o.user) {
        lines.push('s3proxy.authorization=aws-v2-or-v4', `s3proxy.identity=${o.user.name}`)
        lines.push(`s3proxy.credential=${o.user.password}`)
      } else lines.push('s3proxy.authorization=none')
      if (o.tls) {
        lines.push(`s3proxy.keystore-path=${await makeKeyStore(directory, 'changeit')}`)
        lines.push('s3proxy.keystore-password=changeit')
      }
      const file = await write('s3proxy.conf', `${lines.join('\n')}\n`)
      const jars = join(s3proxy.folder ?? '', 'lib', '*')
      return ['-Xmx256m', '-XX:+UseSerialGC', '-cp', jars, 'org.gaul.s3proxy.Main', '--properties', file]
    },
    ready: async ({ port }) => (await ask({ port, path: '/', tls: o.tls ?? false })).status < 500,
  })
}
