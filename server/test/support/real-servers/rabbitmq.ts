import { existsSync } from 'node:fs'
import { answers } from './over-http.ts'
import { type RealServer, startReal } from './process.ts'
import { program } from './programs.ts'

/** Debian's wrapper on the path changes to a user of its own; this is the program behind it. */
export const rabbitmq = program('rabbitmq-server', {
  debian: 'rabbitmq-server',
  also: ['/usr/lib/rabbitmq/bin/rabbitmq-server'],
})

/** Ports: management, AMQP. Its user is guest with the password guest, unless `guest` says otherwise. */
export function startRabbitmq(o: { user?: { name: string; password: string } } = {}): Promise<RealServer> {
  const user = o.user ?? { name: 'guest', password: 'guest' }
  return startReal({
    command: rabbitmq.path ?? rabbitmq.name,
    portCount: 4,
    async arrange({ ports, write }) {
      const lines = [`listeners.tcp.default = 127.0.0.1:${ports[1]}`, `default_user = ${user.name}`]
      lines.push(`default_pass = ${user.password}`, `management.tcp.port = ${ports[0]}`)
      lines.push('management.tcp.ip = 127.0.0.1', 'log.console = true', 'log.file = false')
      await write('rabbitmq.conf', `${lines.join('\n')}\n`)
      await write('enabled_plugins', '[rabbitmq_management].\n')
      return []
    },
    environment: ({ directory, ports }) => ({
      RABBITMQ_NODENAME: `real${ports[0]}@localhost`,
      RABBITMQ_CONFIG_FILE: `${directory}/rabbitmq.conf`,
      RABBITMQ_ENABLED_PLUGINS_FILE: `${directory}/enabled_plugins`,
      RABBITMQ_MNESIA_BASE: `${directory}/mnesia`,
      RABBITMQ_LOG_BASE: `${directory}/log`,
      RABBITMQ_DIST_PORT: `${ports[3]}`,
      RABBITMQ_PID_FILE: `${directory}/pid`,
      ERL_EPMD_PORT: `${ports[2]}`,
      ERL_EPMD_ADDRESS: '127.0.0.1',
    }),
    // Erlang would start it by itself, and leave it behind.
    beside: ({ ports }) => ({
      command: existsSync('/usr/bin/epmd') ? '/usr/bin/epmd' : 'epmd',
      args: ['-address', '127.0.0.1', '-port', `${ports[2]}`],
    }),
    ready: ({ port }) => answers({ port, path: '/api/overview' }),
  })
}
