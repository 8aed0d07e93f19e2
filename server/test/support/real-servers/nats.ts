import { makeCertificate } from './certificate.ts'
import { type RealServer, startReal } from './process.ts'
import { program } from './programs.ts'

export const nats = program('nats-server', { debian: 'nats-server' })

/** Ports: clients, monitoring (in TLS too with `tls`). */
export function startNats(o: { args?: string[]; tls?: boolean } = {}): Promise<RealServer> {
  return startReal({
    command: nats.path ?? nats.name,
    portCount: 2,
    async arrange({ ports, directory }) {
      const args = ['-a', '127.0.0.1', '-p', `${ports[0]}`]
      if (o.tls) {
        const { certificatePath, keyPath } = await makeCertificate(directory)
        args.push('--tls', '--tlscert', certificatePath, '--tlskey', keyPath, '-ms', `${ports[1]}`)
      } else args.push('-m', `${ports[1]}`)
      return [...args, ...(o.args ?? [])]
    },
  })
}
