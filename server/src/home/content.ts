import { AppError, type CommandId, isId } from '../core/index.ts'
import type { Model } from '../registry/index.ts'
import type { CommandEvent } from './face.ts'

/** A device's JSON object. @throws AppError integrity_failed when it is none: the gateway had let in nothing else */
function parseContent(payload: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'))
    if (isObject(value)) return value
  } catch {
    // Answered below: the parser's own message would quote the content.
  }
  throw new AppError('integrity_failed', { detail: 'a record is not a JSON object' })
}

/** What people see of a record of attributes, events or availability. Paths are full, enums have Matter's names. */
export function shown(
  model: Pick<Model, 'normaliseAttributes' | 'normaliseEvents'>,
  kind: 'attributes' | 'events' | 'availability',
  payload: Buffer,
): Record<string, unknown> {
  const content = parseContent(payload)
  switch (kind) {
    case 'attributes':
      return model.normaliseAttributes(content)
    case 'events':
      return model.normaliseEvents(content)
    case 'availability':
      return { online: content.online === true }
  }
}

export interface DeviceResult {
  commandId: CommandId
  status: string
  response?: object | undefined
}

/** A device's answer to a command, or undefined when it is malformed. `status` is a Matter status code's name. */
export function parseResult(payload: Buffer): DeviceResult | undefined {
  let content: Record<string, unknown>
  try {
    content = parseContent(payload)
  } catch {
    return undefined
  }
  const { id, status, response } = content
  if (typeof id !== 'string' || !isId(id)) return undefined
  if (typeof status !== 'string' || !/^[A-Z][A-Z0-9_]{0,63}$/.test(status)) return undefined
  if (response === undefined || response === null) return { commandId: id as CommandId, status }
  return isObject(response) ? { commandId: id as CommandId, status, response } : undefined
}

/** A command as its household reads of it: whoever may only look must not learn a PIN code from it. */
export function redactedEvent(model: Pick<Model, 'redactArguments'>, event: CommandEvent): CommandEvent {
  if (event.event !== 'requested') return event
  const { value, withheld } = model.redactArguments(event.command, event.arguments)
  return { ...event, arguments: value, ...named(withheld) }
}

/** An answer, for others than who asked: without what is secret in answers to this command. */
export function redactedAnswer<A extends { response?: object | undefined }>(
  model: Pick<Model, 'redactResponse'>,
  command: string | undefined,
  answer: A,
): A {
  if (answer.response === undefined) return answer
  const { value, withheld } = model.redactResponse(command, answer.response)
  return { ...answer, response: value, ...named(withheld) }
}

const named = (withheld: string[]) => (withheld.length > 0 ? { withheld } : {})

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
