import { isIPv4 } from 'node:net'
import { createTransport } from 'nodemailer'
import type { SmtpOptions } from './face.ts'

/**
 * What became of an attempt. `refused`: for good, this letter only. `put_off`: this letter, for now. `unreachable`: the
 * server, or we at it; every other letter would fare alike.
 */
export type Outcome = { kind: 'sent' } | { kind: 'refused' | 'put_off' | 'unreachable'; code: string }

export interface Message {
  /** Names the letter to mail servers, which drop a second copy by it. */
  id: string
  to: string
  subject: string
  text: string
}

export interface Smtp {
  send(message: Message): Promise<Outcome>
  close(): void
}

/** Kept open between letters. */
const CONNECTIONS = 1
const CONNECT_MS = 10_000
/** A server that is silent for so long while it has a letter has died. */
const SILENCE_MS = 20_000

/**
 * RFC 5321 atoms and their RFC 6531 extension: neither quotes, brackets, lists, comments nor control characters, so
 * that an address can be nothing but one address in a header or an envelope.
 */
const ADDRESS = /^[^\s\p{C}"(),:;<>@[\\\]]+@[^\s\p{C}"(),:;<>@[\\\]]+$/u

export function createSmtp(options: SmtpOptions): Smtp {
  const transport = createTransport({
    ...connectionOf(options),
    pool: true,
    maxConnections: CONNECTIONS,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    // A letter is plain text made here: it names no file and no URL that this process should read.
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const domain = domainOf(options.from)
  return {
    async send({ id, to, subject, text }) {
      if (!ADDRESS.test(to)) return { kind: 'refused', code: 'address' }
      try {
        await transport.sendMail({
          messageId: `<${id}@${domain}>`,
          from: options.from,
          to: { name: '', address: to },
          subject,
          text,
          xMailer: false,
          // RFC 3834 section 5: no out-of-office answers to these.
          headers: { 'Auto-Submitted': 'auto-generated' },
        })
        return { kind: 'sent' }
      } catch (error) {
        return outcomeOf(error)
      }
    },
    close: () => transport.close(),
  }
}

/** TLS always, with a certificate that is checked; except towards this machine itself. */
export function connectionOf({ url, ca }: Pick<SmtpOptions, 'url' | 'ca'>) {
  const { protocol, hostname, port, username, password } = new URL(url.reveal())
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const secure = protocol === 'smtps:'
  const plain = !secure && isLoopback(host)
  return {
    host,
    port: port ? Number(port) : secure ? 465 : 587,
    secure,
    requireTLS: !secure && !plain,
    ignoreTLS: plain,
    tls: { minVersion: 'TLSv1.2' as const, ...(ca ? { ca } : {}) },
    ...(username ? { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } } : {}),
  }
}

/** The reply's code decides, and to which command it was the reply. Its text may repeat the address: it goes nowhere. */
function outcomeOf(error: unknown): Outcome {
  const {
    code = 'unknown',
    responseCode,
    command,
  } = error as Partial<{
    code: string
    responseCode: number
    command: string
  }>
  const reply = responseCode === undefined ? code : String(responseCode)
  const aboutThisLetter = command === 'RCPT TO' || command === 'DATA'
  if (command === 'API') return { kind: 'refused', code }
  // RFC 5321 section 3.8: 421, the server closes.
  if (!aboutThisLetter || responseCode === undefined || responseCode === 421)
    return { kind: 'unreachable', code: reply }
  return { kind: responseCode >= 500 ? 'refused' : 'put_off', code: reply }
}

function domainOf(from: string): string {
  return /@([^\s>]+)/.exec(from)?.[1] ?? 'localhost'
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}
