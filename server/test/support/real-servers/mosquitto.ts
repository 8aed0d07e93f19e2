import { makeCertificate } from './certificate.ts'
import { type RealServer, run, startReal } from './process.ts'
import { program } from './programs.ts'

export const mosquitto = program('mosquitto', { debian: 'mosquitto' })

export interface MosquittoOptions {
  anonymous: boolean
  /** Name and password of the one user. */
  user?: { name: string; password: string }
  /** More lines of mosquitto.conf. */
  settings?: string[]
}

/** Ports: plain, TLS, WebSocket. */
export function startMosquitto(o: MosquittoOptions): Promise<RealServer> {
  return startReal({
    command: mosquitto.path ?? mosquitto.name,
    portCount: 3,
    async arrange({ ports, directory, write }) {
      const { certificatePath, keyPath } = await makeCertificate(directory)
      const lines = ['user root', 'per_listener_settings false', `allow_anonymous ${o.anonymous}`]
      if (o.user) {
        const path = await write('passwords', '')
        await run('mosquitto_passwd', ['-b', path, o.user.name, o.user.password])
        lines.push(`password_file ${path}`)
      }
      lines.push(`listener ${ports[0]} 127.0.0.1`)
      lines.push(`listener ${ports[1]} 127.0.0.1`, `certfile ${certificatePath}`, `keyfile ${keyPath}`)
      lines.push(`listener ${ports[2]} 127.0.0.1`, 'protocol websockets', 'sys_interval 1')
      const path = await write('mosquitto.conf', [...lines, ...(o.settings ?? []), ''].join('\n'))
      return ['-c', path]
    },
  })
}
