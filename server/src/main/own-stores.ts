import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { lookAtDoors, lookAtFiles, lookAtPostgresSocket, type Watched } from '../guard/index.ts'
import type { Config } from './config.ts'

/** The doors that this process has opened, as they became known. */
export interface OwnDoors {
  url?: string | undefined
  httpPort?: number | undefined
  opsPort?: number | undefined
  mqttPort?: number | undefined
  plainMqttPort?: number | undefined
}

/** What the running system knows of itself, to be looked at as a stranger would. */
export function ownStores(o: {
  config: Config
  doors: () => OwnDoors
  /** The Unix socket of the embedded PostgreSQL. */
  socketPath: string | undefined
}): () => Watched[] {
  const { config } = o
  const at = (host: string, port: number) => {
    const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
    return `${reached.includes(':') ? `[${reached}]` : reached}:${port}`
  }
  /** Several processes may have a door of one kind. What tells them apart names no machine. */
  const here = (kind: string, name: string, address: string, more: Partial<Watched> = {}): Watched => {
    const which = createHash('sha256').update(`${hostname()} ${config.dataDir} ${address}`).digest('hex')
    return { key: `own:${kind}-${which.slice(0, 8)}`, name, address, fed: false, here: true, ...more }
  }

  return () => {
    const { httpPort, opsPort, mqttPort, plainMqttPort } = o.doors()
    const found: Watched[] = []
    if (httpPort !== undefined) {
      const scheme = config.http.tls ? 'https' : 'http'
      found.push(here('http', 'HTTP API', `${scheme}://${at(config.http.host, httpPort)}`))
    }
    if (mqttPort !== undefined) {
      found.push(here('mqtt', 'MQTT over TLS', `mqtts://${at(config.mqtt.host, mqttPort)}`))
    }
    if (plainMqttPort !== undefined) {
      const { host } = config.mqtt.plain ?? { host: '127.0.0.1' }
      found.push(here('mqtt-plain', 'MQTT', `mqtt://${at(host, plainMqttPort)}`))
    }
    if (opsPort !== undefined) {
      const address = `http://${at(config.ops.host, opsPort)}`
      found.push(here('metrics', 'metrics', address, { mayBeOpen: true }))
    }
    found.push(
      here('ports', 'ports of this process', 'TCP', {
        look: () =>
          lookAtDoors({
            declared: () => [httpPort, opsPort, mqttPort, plainMqttPort].filter((port) => port !== undefined),
          }),
      }),
      here('files', 'files of this process', config.dataDir, {
        look: () =>
          lookAtFiles({
            directories: [...new Set([config.dataDir, config.copies.directory])],
            rootKeyFile: config.rootKeyFile,
            // Programs, and who is let in: both are meant to be read by the user that PostgreSQL runs as.
            except: [join(config.dataDir, 'runtime'), join(config.dataDir, 'postgres-access.conf')],
          }),
      }),
    )
    const { socketPath } = o
    if (socketPath !== undefined) {
      const look = () => lookAtPostgresSocket(socketPath)
      found.push(here('database', 'database', socketPath, { look }))
    } else if (config.databaseUrl) {
      // Read by the driver itself, which knows each way to write such a URL.
      const { host, port } = new pg.Client({ connectionString: config.databaseUrl.reveal() })
      if (host.startsWith('/')) {
        const path = join(host, `.s.PGSQL.${port}`)
        found.push(here('database', 'database', path, { look: () => lookAtPostgresSocket(path) }))
      } else {
        const address = `postgresql://${at(host, port)}`
        found.push({ key: 'own:database', name: 'database', address, fed: false, here: false })
      }
    }
    return found
  }
}
