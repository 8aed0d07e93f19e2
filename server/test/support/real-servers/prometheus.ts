import { makeCertificate } from './certificate.ts'
import { answers } from './over-http.ts'
import { type RealServer, startReal } from './process.ts'
import { program } from './programs.ts'

export const prometheus = program('prometheus', { debian: 'prometheus' })

/** `basicAuth`: the bcrypt digest of the one user's password. It scrapes itself. */
export function startPrometheus(o: { basicAuth?: string; tls?: boolean } = {}): Promise<RealServer> {
  return startReal({
    command: prometheus.path ?? prometheus.name,
    async arrange({ port, directory, write }) {
      const config = await write(
        'prometheus.yml',
        `global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: itself\n    static_configs:\n      - targets: ['127.0.0.1:${port}']\n`,
      )
      const web: string[] = []
      if (o.tls) {
        const { certificatePath, keyPath } = await makeCertificate(directory)
        web.push('tls_server_config:', `  cert_file: ${certificatePath}`, `  key_file: ${keyPath}`)
      }
      if (o.basicAuth) web.push('basic_auth_users:', `  operator: '${o.basicAuth}'`)
      const args = [`--config.file=${config}`, `--storage.tsdb.path=${directory}/data`]
      args.push(`--web.listen-address=127.0.0.1:${port}`, '--log.level=warn')
      if (web.length > 0) args.push(`--web.config.file=${await write('web.yml', `${web.join('\n')}\n`)}`)
      return args
    },
    ready: ({ port }) => answers({ port, path: '/-/ready', tls: o.tls ?? false }),
  })
}
