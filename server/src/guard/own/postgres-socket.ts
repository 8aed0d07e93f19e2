import { connect } from 'node:net'
import type { Observed } from '../watched.ts'

const TIMEOUT_MS = 5_000
const MAX_BYTES = 8_192
const PROTOCOL_3 = 196_608
const AUTHENTICATION = 0x52
const ERROR = 0x45
const AUTHENTICATION_OK = 0

/**
 * Asks PostgreSQL at a Unix socket to let a stranger in, and stops at its first message (PostgreSQL's protocol, section
 * "Message Formats"): no query is sent.
 */
export async function lookAtPostgresSocket(path: string): Promise<Observed[]> {
  const answer = await firstMessage(path)
  const protocol = 'postgresql'
  if ('evidence' in answer) {
    return [
      {
        verdict: 'silent',
        protocol,
        evidence: answer.evidence,
        ...(answer.refused && { silence: 'refused' }),
      },
    ]
  }
  if (answer[0] === AUTHENTICATION && answer.length >= 9) {
    const open = answer.readInt32BE(5) === AUTHENTICATION_OK
    const evidence = open ? 'lets anybody in without a password' : 'asks for a password'
    return [{ verdict: open ? 'open' : 'protected', protocol, product: 'PostgreSQL', evidence }]
  }
  if (answer[0] === ERROR) {
    return [{ verdict: 'protected', protocol, product: 'PostgreSQL', evidence: 'refuses strangers' }]
  }
  return [{ verdict: 'other', protocol, evidence: 'does not speak PostgreSQL' }]
}

type Silence = { evidence: string; refused: boolean }

function firstMessage(path: string): Promise<Buffer | Silence> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    let received = Buffer.alloc(0)
    const end = (answer: Buffer | Silence) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(() => end({ evidence: 'no answer', refused: false }), TIMEOUT_MS)
    socket.on('connect', () => socket.write(startup()))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length >= 9 || received.length > MAX_BYTES) end(received)
    })
    socket.on('end', () => end(received.length > 0 ? received : { evidence: 'said nothing', refused: false }))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // What this very user may not enter, no stranger may.
      const refused = ['ENOENT', 'ECONNREFUSED', 'EACCES'].includes(error.code ?? '')
      end({ evidence: `no answer (${error.code ?? 'broken'})`, refused })
    })
  })
}

function startup(): Buffer {
  const parameters = Buffer.from('user\0postgres\0database\0postgres\0\0')
  const message = Buffer.alloc(8 + parameters.length)
  message.writeInt32BE(message.length, 0)
  message.writeInt32BE(PROTOCOL_3, 4)
  parameters.copy(message, 8)
  return message
}
