import { createHash, hash } from 'node:crypto'
import type { Secret, TenureId } from '../core/index.ts'
import type { GatewayStream } from './face.ts'
import type { PublishKind } from './topics.ts'

const KEY_BYTES = 16
const SECRET_BYTES = 32
/** The secret and the tenure's id as text. */
const PREFIX_BYTES = SECRET_BYTES + 36
/** The last keyed records of a tenure; more than the receive maximum, so that all that may be resent is among them. */
const REMEMBERED = 64

const KINDS: Record<PublishKind, number> = { attributes: 1, events: 2, results: 3 }
const BY_PACKET = 1
const BY_MESSAGE_ID = 2

/** A publish on its way into the stream. */
export interface Flight {
  key: string
  settled: Promise<void>
}

/**
 * Recognises what a device sends again because it did not see the PUBACK. A message with an `$id` is known by that,
 * however it comes. Without one, a message is known by packet identifier, topic and payload, and is compared only when
 * it comes with DUP: a later use of the same packet identifier for an equal, new message has no DUP and is recorded.
 *
 * Lives as long as a device's line, over its connections: what an earlier connection left in flight counts as well.
 * So does what was recorded in former tenures: sent again, it would tell a household what happened in the one before.
 */
export class Resends {
  readonly #stream: GatewayStream
  readonly #tenureId: TenureId
  readonly #formerTenures: (() => Promise<TenureId[]>) | undefined
  readonly #secrets: readonly Buffer[]
  readonly #flights: Flight[] = []
  // The newest keys, one after the other; undefined until they are asked for.
  #ring: Buffer | undefined
  #position = 0
  #loading: Promise<void> | undefined
  #committedMeanwhile: string[] = []
  #outcomesUnknown = 0
  #former: readonly Resends[] | undefined

  /** `secrets`: newest first, each of 32 bytes, see `resendKey`. */
  constructor(o: {
    stream: GatewayStream
    tenureId: TenureId
    /** Of the same device; without it only the tenure itself counts. */
    formerTenures?: (() => Promise<TenureId[]>) | undefined
    secrets: readonly Buffer[]
  }) {
    this.#stream = o.stream
    this.#tenureId = o.tenureId
    this.#formerTenures = o.formerTenures
    this.#secrets = o.secrets
  }

  /** Whether something is still on its way into the stream. */
  get busy(): boolean {
    return this.#flights.length > 0
  }

  /** Whether `find` can answer; if not, `load` first. */
  get loaded(): boolean {
    return this.#ring !== undefined
  }

  /** What the device said in its former tenures, known as soon as this is loaded. */
  get former(): readonly Resends[] {
    return this.#former ?? []
  }

  /** By how many secrets a stored message may be known: `age` below is less than this. */
  get ages(): number {
    return this.#secrets.length
  }

  // Both digests are stored and compared after restarts, with a newer release too: what goes into them never changes,
  // or messages that were on their way meanwhile are recorded twice.

  /** `age` 0 is the newest secret, by which messages are stored. */
  keyOfPacket(kind: PublishKind, packetId: number, payload: Buffer, age = 0): string {
    const bytes = this.#prefixed(4 + payload.length, age)
    bytes[PREFIX_BYTES] = BY_PACKET
    bytes[PREFIX_BYTES + 1] = KINDS[kind]
    bytes[PREFIX_BYTES + 2] = packetId >> 8
    bytes[PREFIX_BYTES + 3] = packetId & 0xff
    payload.copy(bytes, PREFIX_BYTES + 4)
    return digest(bytes)
  }

  keyOfMessageId(messageId: string, age = 0): string {
    const bytes = this.#prefixed(1 + Buffer.byteLength(messageId), age)
    bytes[PREFIX_BYTES] = BY_MESSAGE_ID
    bytes.write(messageId, PREFIX_BYTES + 1)
    return digest(bytes)
  }

  /** The secret and the tenure, and room for so many bytes after them. */
  #prefixed(size: number, age: number): Buffer {
    const bytes = Buffer.allocUnsafe(PREFIX_BYTES + size)
    const secret = this.#secrets[age] as Buffer
    secret.copy(bytes)
    bytes.write(this.#tenureId, SECRET_BYTES, 'latin1')
    return bytes
  }

  /** What became of an earlier publish with this key: the flight that it is part of, or that it is recorded. */
  find(key: string): Flight | 'recorded' | undefined {
    const flight = this.#flights.find((candidate) => candidate.key === key)
    if (flight) return flight
    const ring = this.#ring as Buffer
    const bytes = keyBytes(key)
    for (let at = ring.indexOf(bytes); at !== -1; at = ring.indexOf(bytes, at + 1))
      if (at % KEY_BYTES === 0) return 'recorded'
    return undefined
  }

  /** Reads the last keys from the stream. @throws AppError unavailable */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #load(): Promise<void> {
    this.#former ??= await this.#loadFormer()
    this.#committedMeanwhile = []
    const unknownBefore = this.#outcomesUnknown
    const keys = await this.#stream.recentMessageKeys(this.#tenureId, REMEMBERED)
    if (unknownBefore !== this.#outcomesUnknown) return this.#load()
    this.#ring = Buffer.alloc(REMEMBERED * KEY_BYTES)
    this.#position = 0
    for (const key of keys.toReversed()) this.#remember(key)
    for (const key of this.#committedMeanwhile) this.#remember(keyBytes(key))
    this.#committedMeanwhile = []
  }

  /** Nothing is added to a tenure that has ended: once is enough. */
  async #loadFormer(): Promise<Resends[]> {
    const tenureIds = (await this.#formerTenures?.()) ?? []
    const former = tenureIds.map(
      (tenureId) => new Resends({ stream: this.#stream, tenureId, secrets: this.#secrets }),
    )
    await Promise.all(former.map((resends) => resends.load()))
    return former
  }

  takeOff(flight: Flight): void {
    this.#flights.push(flight)
  }

  /** The publish is recorded, or its outcome is unknown: then the stream must be asked again. */
  land(flight: Flight, recorded: boolean): void {
    const index = this.#flights.indexOf(flight)
    if (index !== -1) this.#flights.splice(index, 1)
    if (!recorded) {
      this.#outcomesUnknown += 1
      this.#ring = undefined
    } else if (this.#ring) this.#remember(keyBytes(flight.key))
    else if (this.#loading !== undefined) this.#committedMeanwhile.push(flight.key)
  }

  #remember(key: Buffer): void {
    key.copy(this.#ring as Buffer, this.#position * KEY_BYTES)
    this.#position = (this.#position + 1) % REMEMBERED
  }
}

export function keyBytes(key: string): Buffer {
  return Buffer.from(key, 'latin1')
}

/** What keys the digests, of a secret of any length. */
export function resendKey(secret: Secret): Buffer {
  return createHash('sha256').update(secret.reveal()).digest()
}

// A secret prefix makes a sound MAC here because half of the digest is cut off, so that none can be extended; it costs
// a tenth of HMAC through node:crypto, once for every publish.
function digest(bytes: Buffer): string {
  return hash('sha256', bytes, 'binary').slice(0, KEY_BYTES)
}
