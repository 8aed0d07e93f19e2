import { recordFields } from '../core/index.ts'

/** What a copy can hold of a device, beside what Matter's own attributes and events say. */
export interface DeviceFacts {
  /** Of one tenure, in one copy. */
  pseudonym: string
  model: string
  firmware: string
  /** The hour in which the tenure began, of a device that was heard of in it. */
  activated: 1
  /** The device was heard of on that day. */
  active: 1
  /** 1 when it came online, -1 when it went. */
  online: 1 | -1
}

/** Attempts to connect, counted by the gateway: nobody's in particular. */
export interface ConnectionFacts {
  outcome: string
}

/** A device's answer to a command. */
export interface CommandFacts {
  /** Matter's status code, by its name. */
  status: string
}

export const factFields = [
  recordFields<DeviceFacts>('device', {
    pseudonym: 'metric',
    model: 'public',
    firmware: 'public',
    activated: 'metric',
    active: 'metric',
    online: 'metric',
  }),
  recordFields<ConnectionFacts>('connection', { outcome: 'metric' }),
  recordFields<CommandFacts>('command', { status: 'metric' }),
] as const

/** Say whose an observation is, and are nothing by themselves. */
export const DIMENSIONS = ['device.pseudonym', 'device.model', 'device.firmware'] as const
