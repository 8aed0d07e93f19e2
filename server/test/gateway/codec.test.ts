import fc from 'fast-check'
import { generate, type IPublishPacket, type Packet, parser } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { FrameReader, frame } from '../../src/gateway/frames.ts'
import {
  decodePuback,
  decodePublish,
  emptyPublish,
  encodePubacks,
  encodePublish,
} from '../../src/gateway/publish-codec.ts'
import { parsePacket } from '../../src/gateway/rare-packets.ts'

const version = fc.constantFrom(4 as const, 5 as const)
const topic = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 })

const properties = fc.record(
  {
    payloadFormatIndicator: fc.boolean(),
    messageExpiryInterval: fc.nat(),
    responseTopic: fc.string({ minLength: 1 }),
    correlationData: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    contentType: fc.string(),
    userProperties: fc.dictionary(
      fc.string({ minLength: 1 }).filter((name) => name !== '__proto__'),
      fc.string(),
      { minKeys: 1 }, // mqtt-packet writes nothing at all when there are none
    ),
  },
  { requiredKeys: [] },
)

const publish = fc
  .record({
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    dup: fc.boolean(),
    retain: fc.boolean(),
    topic,
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    messageId: fc.integer({ min: 1, max: 65_535 }),
    properties,
  })
  .map((fields) => ({ ...fields, cmd: 'publish' as const, dup: fields.dup && fields.qos > 0 }))

function oracle(bytes: Buffer, protocolVersion: number): Packet | undefined {
  return parsePacket(bytes, protocolVersion)
}

function cut(bytes: Buffer, cuts: number[]): Buffer[] {
  const places = [...new Set(cuts.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((place, index) => bytes.subarray(place, places[index]))
}

/** All that a reader makes of the chunks: PUBLISH packets as fields, others as their bytes. */
function readAll(reader: FrameReader, chunks: Buffer[], protocolVersion: number) {
  const found: { topic: string; qos: number; dup: boolean; retain: boolean; id: number; payload: Buffer }[] =
    []
  const fields = emptyPublish()
  for (const chunk of chunks) {
    reader.push(Buffer.from(chunk))
    for (;;) {
      const status = reader.next()
      if (status === frame.more) break
      if (status !== frame.complete) return { found, status }
      const fault = decodePublish(
        fields,
        reader.buffer,
        reader.header,
        reader.start,
        reader.end,
        protocolVersion,
      )
      if (fault) return { found, status: fault }
      found.push({
        topic: Buffer.from(fields.topic, 'latin1').toString('utf8'),
        qos: fields.qos,
        dup: fields.dup,
        retain: fields.retain,
        id: fields.packetId,
        payload: fields.payload,
      })
    }
  }
  return { found, status: frame.more }
}

describe('the PUBLISH codec beside mqtt-packet', () => {
  it('reads every well-formed packet alike, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        version,
        fc.array(publish, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (v, packets, cuts) => {
          const bytes = Buffer.concat(
            packets.map((packet) => generate(packet as IPublishPacket, { protocolVersion: v })),
          )
          const { found, status } = readAll(new FrameReader(65_536), cut(bytes, cuts), v)
          expect(status).toBe(frame.more)
          expect(found).toEqual(
            packets.map(({ topic, qos, dup, retain, payload, messageId }) => ({
              topic,
              qos,
              dup,
              retain,
              payload,
              id: qos > 0 ? messageId : 0,
            })),
          )
        },
      ),
    )
  })

  it('reads byte by byte what it reads at once, and keeps no more than has come', () => {
    fc.assert(
      fc.property(version, publish, (v, packet) => {
        const bytes = generate(packet as IPublishPacket, { protocolVersion: v })
        const reader = new FrameReader(65_536)
        const { found } = readAll(
          reader,
          Array.from(bytes, (byte) => Buffer.from([byte])),
          v,
        )
        expect(found).toHaveLength(1)
        expect(reader.pendingBytes).toBe(0)
      }),
    )
  })

  it('never throws on malformed packets, and accepts none that mqtt-packet refuses', () => {
    fc.assert(
      fc.property(
        version,
        publish,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (v, packet, changes, truncate) => {
          const bytes = Buffer.from(generate(packet as IPublishPacket, { protocolVersion: v }))
          const body = bytes.length < 130 ? 2 : 3
          for (const [place, value] of changes) bytes[body + (place % (bytes.length - body))] = value
          const end = truncate ? body + ((changes[0]?.[0] ?? 0) % (bytes.length - body)) : bytes.length
          const fields = emptyPublish()
          const fault = decodePublish(fields, bytes, bytes[0] as number, body, end, v)
          if (fault || truncate) return
          const theirs = oracle(bytes, v)
          // Theirs refuses an empty byte in a property's place, ours reads by the standard: whatever both take is alike.
          if (theirs?.cmd !== 'publish') throw new Error('mqtt-packet refuses it')
          expect(Buffer.from(fields.topic, 'latin1').toString('utf8')).toBe(theirs.topic)
          expect(fields.payload).toEqual(theirs.payload)
          expect(fields.packetId).toBe(theirs.messageId ?? 0)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('never throws on arbitrary bytes, and stops at a length beyond the limit', () => {
    fc.assert(
      fc.property(version, fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (v, chunks) => {
        const reader = new FrameReader(256)
        readAll(
          reader,
          chunks.map((chunk) => Buffer.from(chunk)),
          v,
        )
        expect(reader.pendingBytes).toBeLessThanOrEqual(2_000)
      }),
      { numRuns: 1_000 },
    )
    const reader = new FrameReader(65_536)
    reader.push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]))
    expect(reader.next()).toBe(frame.tooLarge)
    const malformed = new FrameReader(65_536)
    malformed.push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]))
    expect(malformed.next()).toBe(frame.malformed)
  })

  it.each([
    ['a topic alias', Buffer.from([0x30, 8, 0, 1, 0x61, 3, 0x23, 0, 1, 0x7b]), 0x94],
    ['a subscription identifier', Buffer.from([0x30, 7, 0, 1, 0x61, 2, 0x0b, 1, 0x7b]), 0x82],
    ['the same property twice', Buffer.from([0x30, 9, 0, 1, 0x61, 4, 0x01, 0, 0x01, 0, 0x7b]), 0x82],
    ['an empty topic', Buffer.from([0x30, 3, 0, 0, 0]), 0x82],
    ['packet identifier 0', Buffer.from([0x32, 6, 0, 1, 0x61, 0, 0, 0]), 0x82],
    ['properties longer than the packet', Buffer.from([0x30, 4, 0, 1, 0x61, 9]), 0x81],
    ['QoS 3', Buffer.from([0x36, 6, 0, 1, 0x61, 0, 1, 0]), 0x81],
    ['DUP with QoS 0', Buffer.from([0x38, 4, 0, 1, 0x61, 0]), 0x82],
  ])('refuses %s', (_what, bytes, code) => {
    expect(decodePublish(emptyPublish(), bytes, bytes[0] as number, 2, bytes.length, 5)).toBe(code)
  })

  it('what the server sends is read by mqtt-packet', () => {
    fc.assert(
      fc.property(
        version,
        fc.string({ minLength: 1, maxLength: 60 }),
        fc.constantFrom(0 as const, 1 as const),
        fc.integer({ min: 1, max: 65_535 }),
        fc.uint8Array({ maxLength: 20_000 }),
        (v, name, qos, id, payload) => {
          const theirs = oracle(encodePublish(v, name, qos, id, Buffer.from(payload)), v)
          expect(theirs).toMatchObject({ cmd: 'publish', topic: name, qos, payload: Buffer.from(payload) })
          if (qos > 0) expect(theirs?.messageId).toBe(id)
        },
      ),
    )
    const ids = [1, 255, 256, 65_535]
    const seen: number[] = []
    const reader = parser({ protocolVersion: 5 })
    reader.on('packet', (packet) => seen.push(packet.messageId ?? 0))
    reader.parse(encodePubacks(ids))
    expect(seen).toEqual(ids)
  })

  it('reads a PUBACK as mqtt-packet writes it', () => {
    fc.assert(
      fc.property(
        version,
        fc.integer({ min: 1, max: 65_535 }),
        fc.constantFrom(0, 0x10, 0x80, 0x87, 0x97),
        (v, messageId, reasonCode) => {
          const bytes = generate({ cmd: 'puback', messageId, reasonCode }, { protocolVersion: v })
          const answer = decodePuback(bytes, 2, bytes.length, v)
          expect(answer >> 8).toBe(messageId)
          expect(answer & 0xff).toBe(v === 5 ? reasonCode : 0)
        },
      ),
    )
  })
})
