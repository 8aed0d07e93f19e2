import type { ISubscription } from 'mqtt-packet'
import { type ReasonCode, type Refusal, reason } from './reason-codes.ts'
import { isOwnTopic, type Topics } from './topics.ts'

type Qos = 0 | 1

/**
 * What a session is subscribed to. The only filters are a device's own topics, `hearth/1/{own}/#` and
 * `hearth/1/{own}/+` (MQTT 5 section 4.7): nothing ever matches across devices.
 */
export class Subscriptions {
  readonly #topics: Topics
  readonly #limit: number
  readonly #filters = new Map<string, Qos>()
  /** At which QoS commands and errors are wanted; undefined when they are not. */
  commands: Qos | undefined
  errors: Qos | undefined

  constructor(topics: Topics, limit: number) {
    this.#topics = topics
    this.#limit = limit
  }

  /** The granted QoS (at most 1), or why not. */
  add({ topic, qos }: Pick<ISubscription, 'topic' | 'qos'>): Qos | Refusal {
    const refusal = this.#refuse(topic)
    if (refusal) return refusal
    const granted = qos === 0 ? 0 : 1
    this.#filters.set(topic, granted)
    this.#match()
    return granted
  }

  remove(filter: string): ReasonCode {
    const found = this.#filters.delete(filter)
    this.#match()
    return found ? reason.success : reason.noSubscriptionExisted
  }

  #refuse(filter: string): Refusal | undefined {
    if (filter.startsWith('$share/'))
      return { code: reason.sharedSubscriptionsNotSupported, text: 'shared subscriptions are not offered' }
    if (!isOwnTopic(this.#topics, filter))
      return { code: reason.notAuthorized, text: 'a device subscribes to its own topics only' }
    if (!this.#known().includes(filter))
      return { code: reason.topicFilterInvalid, text: 'there is no such topic of a device' }
    if (this.#filters.size >= this.#limit && !this.#filters.has(filter))
      return { code: reason.quotaExceeded, text: 'too many subscriptions' }
    return undefined
  }

  #known(): string[] {
    const { space, attributes, events, results, commands, errors } = this.#topics
    return [commands, errors, `${space}#`, `${space}+`, attributes, events, results]
  }

  #match(): void {
    this.commands = this.#highest(this.#topics.commands)
    this.errors = this.#highest(this.#topics.errors)
  }

  #highest(topic: string): Qos | undefined {
    const { space } = this.#topics
    const found = [topic, `${space}#`, `${space}+`].flatMap((filter) => this.#filters.get(filter) ?? [])
    return found.length === 0 ? undefined : found.includes(1) ? 1 : 0
  }
}
