import type { DeviceId } from '../core/index.ts'
import { type Refusal, reason } from './reason-codes.ts'

/** What a device may publish. */
export type PublishKind = 'attributes' | 'events' | 'results'

/** One device's whole topic space, `hearth/1/{deviceId}/…`: there is nothing else for it to name. */
export interface Topics {
  readonly space: string
  readonly attributes: string
  readonly events: string
  readonly results: string
  readonly commands: string
  readonly errors: string
}

export function topicsOf(deviceId: DeviceId): Topics {
  const space = `hearth/1/${deviceId}/`
  return {
    space,
    attributes: `${space}attributes`,
    events: `${space}events`,
    results: `${space}results`,
    commands: `${space}commands`,
    errors: `${space}errors`,
  }
}

export function publishKind(topics: Topics, topic: string): PublishKind | undefined {
  if (topic === topics.attributes) return 'attributes'
  if (topic === topics.events) return 'events'
  if (topic === topics.results) return 'results'
  return undefined
}

export function isOwnTopic(topics: Topics, topic: string): boolean {
  return topic.startsWith(topics.space)
}

/** Why a topic is none that this device publishes to. */
export function refusePublishTopic(topics: Topics, topic: string): Refusal {
  if (topic === topics.commands || topic === topics.errors)
    return { code: reason.notAuthorized, text: 'commands and errors are published by the server only' }
  if (isOwnTopic(topics, topic))
    return { code: reason.topicNameInvalid, text: 'a device publishes to attributes, events or results' }
  return { code: reason.notAuthorized, text: 'the topic is not one of this device: hearth/1/{deviceId}/…' }
}
