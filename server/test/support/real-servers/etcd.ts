import { makeCertificate } from './certificate.ts'
import { type RealServer, run, startReal } from './process.ts'
import { program } from './programs.ts'

export const etcd = program('etcd', { debian: 'etcd-server' })
export const etcdctl = program('etcdctl', { debian: 'etcd-client' })

/** Ports: clients, peers. With `v2` the old API answers as well. */
export async function startEtcd(o: { tls?: boolean; v2?: boolean } = {}): Promise<RealServer> {
  const scheme = o.tls ? 'https' : 'http'
  return startReal({
    command: etcd.path ?? etcd.name,
    portCount: 2,
    environment: () => ({ ETCD_UNSUPPORTED_ARCH: process.arch }),
    async arrange({ ports, directory }) {
      const client = `${scheme}://127.0.0.1:${ports[0]}`
      const peer = `http://127.0.0.1:${ports[1]}`
      const args = ['--data-dir', `${directory}/data`, '--name', 'one', '--log-level', 'warn']
      args.push('--listen-client-urls', client, '--advertise-client-urls', client)
      args.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer)
      args.push('--initial-cluster', `one=${peer}`, `--enable-v2=${o.v2 ?? false}`)
      if (o.tls) {
        const { certificatePath, keyPath } = await makeCertificate(directory)
        args.push('--cert-file', certificatePath, '--key-file', keyPath)
      }
      return args
    },
  })
}

/** Runs etcdctl on it, as its first user where one is given as `name:password`. */
export async function onEtcd(server: RealServer, args: string[], user?: string): Promise<string> {
  const { stdout } = await run(
    etcdctl.path ?? etcdctl.name,
    ['--endpoints', `127.0.0.1:${server.port}`, ...(user ? ['--user', user] : []), ...args],
    { env: { ...process.env, ETCDCTL_API: '3' } },
  )
  return stdout
}
