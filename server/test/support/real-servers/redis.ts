import { makeCertificate } from './certificate.ts'
import { type RealServer, startReal } from './process.ts'
import { program } from './programs.ts'

export const redis = program('redis-server', { debian: 'redis-server' })

/** The second port, with `tls`, speaks TLS. `settings` are lines of redis.conf. */
export function startRedis(o: { settings?: string[]; tls?: boolean } = {}): Promise<RealServer> {
  return startReal({
    command: redis.path ?? redis.name,
    portCount: 2,
    async arrange(place) {
      const lines = [`port ${place.port}`, 'bind 127.0.0.1', 'save ""', `dir ${place.directory}`]
      if (o.tls) {
        const { certificatePath, keyPath } = await makeCertificate(place.directory)
        lines.push(`tls-port ${place.ports[1]}`, `tls-cert-file ${certificatePath}`)
        lines.push(`tls-key-file ${keyPath}`, `tls-ca-cert-file ${certificatePath}`, 'tls-auth-clients no')
      }
      return [await place.write('redis.conf', [...lines, ...(o.settings ?? []), ''].join('\n'))]
    },
  })
}
