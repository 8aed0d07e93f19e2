import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { ask } from './over-http.ts'
import { type RealServer, startReal } from './process.ts'
import { javaProgram } from './programs.ts'

/** Elasticsearch 7.10, the last of its kind on Maven Central: without its security, which is not. */
export const elasticsearch = javaProgram('elasticsearch')
export const opensearch = javaProgram('opensearch')

const JVM = ['-Xms256m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export function startElasticsearch(): Promise<RealServer> {
  return startSearch({
    program: elasticsearch,
    launcher: 'ElasticsearchNode.java',
    home: 'org.elasticsearch',
  })
}

export interface OpenSearchOptions {
  /** The security plugin with its demonstration users, `admin` among them with the password `admin`. */
  security?: boolean
  /** HTTPS. Only with `security`. */
  tls?: boolean
  /** Files of the plugin's configuration that take the place of those of that name. */
  securityFiles?: Record<string, string>
}

/** Ports: HTTP, transport. */
export function startOpenSearch(o: OpenSearchOptions = {}): Promise<RealServer> {
  return startSearch({ program: opensearch, launcher: 'OpenSearchNode.java', home: 'org.opensearch', ...o })
}

function startSearch(
  o: OpenSearchOptions & { program: typeof opensearch; launcher: string; home: string },
): Promise<RealServer> {
  const jars = o.program.folder ?? ''
  const secured = o.security === true
  return startReal({
    command: o.program.java,
    portCount: 2,
    async arrange({ ports, directory, write }) {
      const settings = ['network.host: 127.0.0.1', 'discovery.type: single-node', 'cluster.name: real']
      settings.push(`http.port: ${ports[0]}`, `transport.port: ${ports[1]}`)
      settings.push('cluster.routing.allocation.disk.threshold_enabled: false')
      if (secured) settings.push(...(await arrangeSecurity(directory, jars, o)))
      const file = o.home === 'org.opensearch' ? 'opensearch.yml' : 'elasticsearch.yml'
      await write(file, `${settings.join('\n')}\n`)
      const plugins = [`${o.home}.transport.Netty4Plugin`]
      if (secured) plugins.push('org.opensearch.security.OpenSearchSecurityPlugin')
      const path = [join(jars, 'lib', '*'), ...(secured ? [join(jars, 'opensearch-security', '*')] : [])]
      const launcher = join(import.meta.dirname, o.launcher)
      return [...JVM, '-cp', path.join(':'), launcher, directory, directory, ...plugins]
    },
    async ready({ port }) {
      const path = secured ? '/_cluster/health' : '/_cluster/health?wait_for_status=yellow&timeout=1s'
      const { status } = await ask({ port, path, tls: o.tls ?? false })
      // Before the plugin has its users it answers 503 to everybody.
      return status === 200 || (secured && (status === 401 || status === 403))
    },
  })
}

async function arrangeSecurity(directory: string, jars: string, o: OpenSearchOptions): Promise<string[]> {
  await cp(join(jars, 'opensearch-security', 'config'), join(directory, 'opensearch-security'), {
    recursive: true,
  })
  for (const [name, text] of Object.entries(o.securityFiles ?? {})) {
    await writeFile(join(directory, 'opensearch-security', name), text)
  }
  await makeCertificate(directory)
  const kinds = o.tls ? ['transport', 'http'] : ['transport']
  return [
    'plugins.security.allow_default_init_securityindex: true',
    'plugins.security.ssl.transport.enforce_hostname_verification: false',
    "plugins.security.nodes_dn: ['CN=localhost']",
    ...(o.tls ? ['plugins.security.ssl.http.enabled: true'] : []),
    ...kinds.flatMap((kind) => [
      `plugins.security.ssl.${kind}.pemkey_filepath: server.key`,
      `plugins.security.ssl.${kind}.pemcert_filepath: server.crt`,
      `plugins.security.ssl.${kind}.pemtrustedcas_filepath: server.crt`,
    ]),
  ]
}
