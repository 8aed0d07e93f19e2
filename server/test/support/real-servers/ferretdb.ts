import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { type RealServer, startReal } from './process.ts'
import { fetchedProgram } from './programs.ts'

/** A server of MongoDB's protocol, over SQLite; MongoDB itself is in none of the registries that the tests use. */
export const ferretdb = fetchedProgram('ferretdb')

/** Ports: plain, TLS. */
export function startFerretdb(o: { user?: { name: string; password: string } } = {}): Promise<RealServer> {
  return startReal({
    command: ferretdb.path ?? ferretdb.name,
    portCount: 2,
    async arrange({ ports, directory }) {
      const { certificatePath, keyPath } = await makeCertificate(directory)
      await mkdir(join(directory, 'data'))
      const args = ['--handler=sqlite', `--sqlite-url=file:${directory}/data/`, `--state-dir=${directory}`]
      args.push(`--listen-addr=127.0.0.1:${ports[0]}`, `--listen-tls=127.0.0.1:${ports[1]}`)
      args.push(`--listen-tls-cert-file=${certificatePath}`, `--listen-tls-key-file=${keyPath}`)
      // Telemetry would speak to its maker.
      args.push('--telemetry=disable', '--debug-addr=-', '--log-level=warn')
      if (o.user) {
        args.push('--test-enable-new-auth', '--setup-database=records')
        args.push(`--setup-username=${o.user.name}`, `--setup-password=${o.user.password}`)
      }
      return args
    },
  })
}
