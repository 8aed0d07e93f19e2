import { makeCertificate } from './certificate.ts'
import { type RealServer, startReal } from './process.ts'
import { program } from './programs.ts'

export const memcached = program('memcached', { debian: 'memcached' })

export function startMemcached(
  o: { args?: string[]; tls?: boolean; sasl?: boolean } = {},
): Promise<RealServer> {
  return startReal({
    command: memcached.path ?? memcached.name,
    environment: ({ directory }) => ({ SASL_CONF_PATH: directory }),
    async arrange(place) {
      const args = ['-l', '127.0.0.1', '-p', `${place.port}`, '-U', '0', '-u', 'root', '-m', '16']
      if (o.tls) {
        const { certificatePath, keyPath } = await makeCertificate(place.directory)
        args.push('-Z', '-o', `ssl_chain_cert=${certificatePath},ssl_key=${keyPath}`)
      }
      if (o.sasl) {
        await place.write('memcached.conf', 'mech_list: plain\n')
        args.push('-S')
      }
      return [...args, ...(o.args ?? [])]
    },
  })
}
