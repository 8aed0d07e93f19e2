import type { Probe } from '../probe.ts'
import { redis } from './redis.ts'

/** All protocols. Where several could speak at a port, they are tried in this order. */
export const probes: readonly Probe[] = [redis]

/** What can be asked for, for people. */
export const protocols: readonly { protocol: string; name: string; defaultPorts: readonly number[] }[] =
  probes.map(({ protocol, name, defaultPorts }) => ({ protocol, name, defaultPorts }))
