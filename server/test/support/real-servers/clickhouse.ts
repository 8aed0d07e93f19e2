import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { answers } from './over-http.ts'
import { type RealServer, startReal } from './process.ts'
import { program } from './programs.ts'

export const clickhouse = program('clickhouse-server', { debian: 'clickhouse-server' })

/** Ports: HTTP, native, HTTPS, native in TLS. `password` is the user `default`'s; none by default. */
export function startClickhouse(o: { password?: string } = {}): Promise<RealServer> {
  return startReal({
    command: clickhouse.path ?? clickhouse.name,
    portCount: 5,
    async arrange({ ports, directory, write }) {
      const { certificatePath, keyPath } = await makeCertificate(directory)
      for (const name of ['data', 'tmp']) await mkdir(join(directory, name))
      const digest = createHash('sha256')
        .update(o.password ?? '')
        .digest('hex')
      const password =
        o.password === undefined ? '<password/>' : `<password_sha256_hex>${digest}</password_sha256_hex>`
      const users = await write(
        'users.xml',
        `<yandex><profiles><default><max_memory_usage>200000000</max_memory_usage></default></profiles>
<quotas><default/></quotas><users><default>${password}<networks><ip>127.0.0.1</ip></networks>
<profile>default</profile><quota>default</quota></default></users></yandex>`,
      )
      const config = await write(
        'config.xml',
        `<yandex><logger><level>warning</level><console>1</console></logger>
<http_port>${ports[0]}</http_port><tcp_port>${ports[1]}</tcp_port>
<https_port>${ports[2]}</https_port><tcp_port_secure>${ports[3]}</tcp_port_secure>
<interserver_http_port>${ports[4]}</interserver_http_port><listen_host>127.0.0.1</listen_host>
<openSSL><server><certificateFile>${certificatePath}</certificateFile><privateKeyFile>${keyPath}</privateKeyFile>
<verificationMode>none</verificationMode></server></openSSL>
<path>${directory}/data/</path><tmp_path>${directory}/tmp/</tmp_path><users_config>${users}</users_config>
<mark_cache_size>10000000</mark_cache_size><default_profile>default</default_profile>
<default_database>default</default_database></yandex>`,
      )
      return [`--config-file=${config}`]
    },
    ready: ({ port }) => answers({ port, path: '/ping' }),
  })
}
