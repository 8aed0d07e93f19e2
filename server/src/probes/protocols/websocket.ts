import { createHash, randomBytes } from 'node:crypto'
import type { Connection } from '../connection.ts'
import { garbled } from '../failure.ts'
import type { Target } from '../target.ts'

/** A WebSocket (RFC 6455) as a stream of bytes: what binary frames carry. */
export interface WebSocketStream {
  write(bytes: Uint8Array): void
  read(count: number): Promise<Buffer>
}

const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const LONGEST_HEAD = 16_384
const LONGEST_FRAME = 262_144
const MOST_CONTROL_FRAMES = 50
const OPCODE = { continuation: 0, binary: 2, ping: 9, pong: 10 } as const

/** @throws ProbeFailure garbled when the upgrade is refused */
export async function openWebSocket(
  connection: Connection,
  { target, path, protocol }: { target: Target; path: string; protocol: string },
): Promise<WebSocketStream> {
  const key = randomBytes(16).toString('base64')
  const host = target.host.includes(':') ? `[${target.host}]` : target.host
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}:${target.port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Protocol: ${protocol}`,
  ]
  connection.write(`${lines.join('\r\n')}\r\n\r\n`)
  const start = await connection.read(12)
  if (!/^HTTP\/1\.1 101$/.test(start.toString('latin1'))) garbled()
  const head = (await connection.readUntil('\r\n\r\n', LONGEST_HEAD)).toString('latin1')
  const accept = createHash('sha1')
    .update(key + MAGIC)
    .digest('base64')
  if (/^sec-websocket-accept: *(\S+)/im.exec(head)?.[1] !== accept) garbled()
  let held: Buffer = Buffer.alloc(0)
  return {
    write: (bytes) => connection.write(frame(OPCODE.binary, bytes)),
    async read(count) {
      while (held.length < count) {
        const more = await nextData(connection)
        held = held.length === 0 ? more : Buffer.concat([held, more])
      }
      const taken = held.subarray(0, count)
      held = held.subarray(count)
      return taken
    },
  }
}

async function nextData(connection: Connection): Promise<Buffer> {
  for (let frames = 0; frames < MOST_CONTROL_FRAMES; frames += 1) {
    const [first = 0, second = 0] = await connection.read(2)
    const opcode = first & 0x0f
    // A server does not mask.
    if (second & 0x80) garbled()
    const body = await connection.read(await lengthOf(connection, second))
    if (opcode === OPCODE.binary || opcode === OPCODE.continuation) {
      if (body.length > 0) return body
    } else if (opcode === OPCODE.ping) connection.write(frame(OPCODE.pong, body))
    else if (opcode !== OPCODE.pong) garbled()
  }
  return garbled()
}

async function lengthOf(connection: Connection, second: number): Promise<number> {
  if (second < 126) return second
  const length = second === 126 ? (await connection.read(2)).readUInt16BE(0) : await longLength(connection)
  return length <= LONGEST_FRAME ? length : garbled()
}

async function longLength(connection: Connection): Promise<number> {
  const bytes = await connection.read(8)
  return bytes.readUInt32BE(0) === 0 ? bytes.readUInt32BE(4) : garbled()
}

/** Up to 125 bytes, masked as a client's must be. */
function frame(opcode: number, bytes: Uint8Array): Buffer {
  const mask = randomBytes(4)
  const masked = bytes.subarray(0, 125).map((byte, index) => byte ^ (mask[index % 4] ?? 0))
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | masked.length]), mask, masked])
}
