import type { Probe } from '../probe.ts'
import { clickhouseNative } from './clickhouse-native.ts'
import { etcd } from './etcd.ts'
import { kafka } from './kafka.ts'
import { memcached } from './memcached.ts'
import { mongodb } from './mongodb.ts'
import { mqtt, mqttWebSocket } from './mqtt.ts'
import { mysql } from './mysql.ts'
import { nats } from './nats.ts'
import { overHttp } from './over-http.ts'
import { postgresql } from './postgresql.ts'
import { redis } from './redis.ts'

/**
 * All protocols. Where several could speak at a port they are tried in this order: first those whose question other servers
 * answer or hang up on at once, instead of waiting for the rest of it.
 */
export const probes: readonly Probe[] = [
  redis,
  memcached,
  postgresql,
  mysql,
  mongodb,
  kafka,
  nats,
  clickhouseNative,
  mqtt,
  etcd,
  mqttWebSocket,
  ...overHttp,
]

/** What can be asked for, for people. */
export const protocols: readonly { protocol: string; name: string; defaultPorts: readonly number[] }[] =
  probes.map(({ protocol, name, defaultPorts }) => ({ protocol, name, defaultPorts }))
