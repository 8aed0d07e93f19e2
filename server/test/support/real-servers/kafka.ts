import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { makeKeyStore } from './certificate.ts'
import { type RealServer, run, startReal } from './process.ts'
import { javaProgram } from './programs.ts'

export const kafka = javaProgram('kafka')

const JVM = ['-Xms128m', '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

/** Ports: plain, TLS, SASL (PLAIN, in clear), the controller's. One broker in KRaft mode. */
export function startKafka(): Promise<RealServer> {
  const jars = join(kafka.folder ?? '', 'lib', '*')
  return startReal({
    command: kafka.java,
    portCount: 4,
    async arrange({ ports, directory, write }) {
      const keyStore = await makeKeyStore(directory, 'changeit')
      const listeners = ['PLAINTEXT', 'SSL', 'SASL', 'CONTROLLER'].map(
        (name, index) => `${name}://127.0.0.1:${ports[index]}`,
      )
      const lines = ['process.roles=broker,controller', 'node.id=1', `log.dirs=${directory}/data`]
      lines.push(`controller.quorum.voters=1@127.0.0.1:${ports[3]}`, 'controller.listener.names=CONTROLLER')
      lines.push(
        `listeners=${listeners.join(',')}`,
        `advertised.listeners=${listeners.slice(0, 3).join(',')}`,
      )
      lines.push(
        'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
        'sasl.enabled.mechanisms=PLAIN',
        'listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_operator="a-password";',
        `ssl.keystore.location=${keyStore}`,
        'ssl.keystore.type=PKCS12',
        'ssl.keystore.password=changeit',
        'offsets.topic.replication.factor=1',
        'offsets.topic.num.partitions=1',
      )
      const file = await write('server.properties', `${lines.join('\n')}\n`)
      const id = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
      await run(kafka.java, [...JVM, '-cp', jars, 'kafka.tools.StorageTool', 'format', '-t', id, '-c', file])
      return [...JVM, '-cp', jars, 'kafka.Kafka', file]
    },
  })
}
