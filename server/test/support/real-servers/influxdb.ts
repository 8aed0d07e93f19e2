import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { answers } from './over-http.ts'
import { type RealServer, startReal } from './process.ts'
import { program } from './programs.ts'

export const influxdb = program('influxd', { debian: 'influxdb' })

export function startInfluxdb(o: { auth?: boolean; tls?: boolean } = {}): Promise<RealServer> {
  return startReal({
    command: influxdb.path ?? influxdb.name,
    portCount: 2,
    async arrange({ ports, directory, write }) {
      const lines = ['reporting-disabled = true', `bind-address = "127.0.0.1:${ports[1]}"`]
      lines.push(
        '[meta]',
        `dir = "${join(directory, 'meta')}"`,
        '[data]',
        `dir = "${join(directory, 'data')}"`,
      )
      lines.push(`wal-dir = "${join(directory, 'wal')}"`, '[http]', `bind-address = "127.0.0.1:${ports[0]}"`)
      lines.push(`auth-enabled = ${o.auth ?? false}`)
      if (o.tls) {
        const { bothPath } = await makeCertificate(directory)
        lines.push('https-enabled = true', `https-certificate = "${bothPath}"`)
      }
      return ['-config', await write('influxdb.conf', `${lines.join('\n')}\n`)]
    },
    ready: ({ port }) => answers({ port, path: '/ping', tls: o.tls ?? false }),
  })
}
