import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { answers } from './over-http.ts'
import { type RealServer, startReal } from './process.ts'
import { javaProgram } from './programs.ts'

export const jolokia = javaProgram('jolokia')

const PROGRAM =
  'class Idle { public static void main(String[] a) throws Exception { Thread.sleep(600_000); } }\n'

/** A Java process that does nothing, with Jolokia's agent in it. */
export function startJolokia(o: { user?: { name: string; password: string } }): Promise<RealServer> {
  return startReal({
    command: jolokia.java,
    async arrange({ port, write }) {
      const jars = join(jolokia.folder ?? '', 'lib')
      const agent = readdirSync(jars).find((name) => name.endsWith('-javaagent.jar'))
      const settings = [`port=${port}`, 'host=127.0.0.1', 'discoveryEnabled=false']
      if (o.user) settings.push(`user=${o.user.name}`, `password=${o.user.password}`)
      const program = await write('Idle.java', PROGRAM)
      return ['-Xmx64m', `-javaagent:${join(jars, agent ?? '')}=${settings.join(',')}`, program]
    },
    ready: ({ port }) => answers({ port, path: '/jolokia/version' }),
  })
}
