import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SMTPServerOptions } from 'smtp-server'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLog, newId, Personal, Secret } from '../../src/core/index.ts'
import type { Letter, Mail, MailOptions } from '../../src/mail/index.ts'
import { createSmtp } from '../../src/mail/smtp.ts'
import { createMailWorld, type MailWorld, type Postbox, startPostbox } from './support.ts'

let world: MailWorld
const boxes: Postbox[] = []
beforeEach(async () => {
  world = await createMailWorld()
})
afterEach(async () => {
  await world.close()
  await Promise.all(boxes.splice(0).map((box) => box.close()))
})

const FROM = 'Hearthlock <hearthlock@maker.example>'
const to = new Personal('ada@example.org')
const letter = { kind: 'recovery_code', code: new Secret('K7QWM-4ZD0P') } as const

async function postbox(...options: Parameters<typeof startPostbox>): Promise<Postbox> {
  const box = await startPostbox(...options)
  boxes.push(box)
  return box
}

function enqueue(mail: Mail, o: { to?: Personal; letter?: Letter } = {}): Promise<void> {
  return world.database.transaction((tx) => mail.enqueue(tx, { to, letter, ...o }))
}

const sendingTo = (box: Postbox, more: Partial<MailOptions> = {}) =>
  world.node({ smtp: { url: box.url(), from: FROM }, ...more })

const left = async () => (await world.database.pool.query('select 1 from mail.outbox')).rows.length
const stat = (mail: Mail, name: string) => vi.waitFor(() => expect(mail.stats()[name]).toBeGreaterThan(0))

describe('a letter that is sent', () => {
  it('arrives once, in plain text, and leaves nothing in the outbox', async () => {
    const box = await postbox()
    const mail = await sendingTo(box)
    await enqueue(mail)
    await stat(mail, 'mail_sent')
    await vi.waitFor(async () => expect(await left()).toBe(0))
    expect(box.letters).toHaveLength(1)
    const [{ from, to: recipients, source }] = box.letters as [Postbox['letters'][0]]
    expect(from).toBe('hearthlock@maker.example')
    expect(recipients).toEqual(['ada@example.org'])
    expect(source).toContain('Subject: Your Hearthlock recovery code')
    expect(source).toContain('K7QWM-4ZD0P')
    expect(source).toContain('Auto-Submitted: auto-generated')
    expect(source).toMatch(/Message-ID: <[0-9a-f-]{36}@maker\.example>/)
    expect(source).not.toContain('nodemailer')
  })

  it('is read by its addressee only: no operator can have it shown', async () => {
    const mail = await world.node({ smtp: { url: new Secret('smtp://127.0.0.1:9'), from: FROM } })
    await enqueue(mail)
    const [waiting] = await mail.waiting()
    await expect(mail.show(waiting?.letterId ?? '', newId<never>())).rejects.toMatchObject({
      code: 'conflict',
    })
  })

  it('goes once, however many nodes empty the outbox', async () => {
    const box = await postbox()
    const writer = await world.node()
    for (let i = 0; i < 20; i++) await enqueue(writer, { to: new Personal(`ada-${i}@example.org`) })
    for (let i = 0; i < 3; i++) await sendingTo(box)
    await vi.waitFor(async () => expect(await left()).toBe(0), { timeout: 20_000 })
    expect(new Set(box.letters.map((received) => received.to[0])).size).toBe(20)
    expect(box.letters).toHaveLength(20)
  })

  it('goes to one address only, whatever stands in it', async () => {
    const box = await postbox()
    const mail = await sendingTo(box)
    for (const address of [
      'a,eve@example.org',
      'ada@example.org\r\nBcc: eve@example.org',
      '"ada eve"@example.org',
      'ada@example.org>, <eve@example.org',
    ])
      await enqueue(mail, { to: new Personal(address) })
    await vi.waitFor(() => expect(mail.stats().mail_refused).toBe(4))
    expect(box.letters).toEqual([])
  })

  it('is not sent when its account has been erased, or its code is too old to be of use', async () => {
    const box = await postbox()
    const writer = await world.node()
    const accountId = await world.person('gone@example.org')
    await world.database.transaction((tx) => writer.enqueue(tx, { to: accountId, letter }))
    await enqueue(writer)
    await world.database.transaction((tx) => world.vault.erase(tx, accountId))
    world.clock.advance(15 * 60)
    const mail = await sendingTo(box)
    await vi.waitFor(async () => expect(await left()).toBe(0))
    expect(mail.stats().mail_given_up).toBe(2)
    expect(box.letters).toEqual([])
  })
})

describe('a mail server that refuses', () => {
  const refusing = (responseCode: number) => ({
    onRcptTo: (_address: unknown, _session: unknown, done: (error?: Error) => void) =>
      done(Object.assign(new Error('ada@example.org is not here'), { responseCode })),
  })

  it('for good (5xx): the letter is dropped, and the log names nobody', async () => {
    const lines: string[] = []
    const log = createLog({ level: 'debug', destination: { write: (line) => void lines.push(line) } })
    const mail = await sendingTo(await postbox(refusing(550)), { log })
    await enqueue(mail)
    await stat(mail, 'mail_refused')
    await vi.waitFor(async () => expect(await left()).toBe(0))
    expect(lines.join()).toContain('550')
    expect(lines.join()).not.toContain('ada')
  })

  it('for now (4xx): it is tried again after growing pauses, and others pass it', async () => {
    let asked = 0
    const box = await postbox({
      onRcptTo: ({ address }, _session, done) => {
        if (address !== 'busy@example.org') return done()
        asked++
        done(asked < 3 ? Object.assign(new Error('later'), { responseCode: 451 }) : undefined)
      },
    })
    const mail = await sendingTo(box)
    await enqueue(mail, { to: new Personal('busy@example.org'), letter: { kind: 'recovered' } })
    await vi.waitFor(() => expect(asked).toBe(1))
    await enqueue(mail)
    await vi.waitFor(() => expect(box.letters).toHaveLength(1))
    expect(asked).toBe(1)
    world.clock.advance(60)
    await vi.waitFor(() => expect(asked).toBe(2))
    world.clock.advance(60)
    await enqueue(mail)
    await vi.waitFor(() => expect(box.letters).toHaveLength(2))
    expect(asked).toBe(2)
    world.clock.advance(240)
    await vi.waitFor(() => expect(box.letters).toHaveLength(3))
  })

  it('for a whole day: the letter is given up', async () => {
    const mail = await sendingTo(await postbox(refusing(451)))
    await enqueue(mail, { letter: { kind: 'recovered' } })
    await vi.waitFor(async () => expect((await mail.waiting())[0]?.attempts).toBe(1))
    world.clock.advance(86_400)
    await stat(mail, 'mail_given_up')
    expect(await left()).toBe(0)
  })
})

describe('a mail server that is not there', () => {
  it('costs no letter: they go when it is back', async () => {
    const mail = await world.node({ smtp: { url: new Secret('smtp://127.0.0.1:9'), from: FROM } })
    await enqueue(mail)
    await vi.waitFor(async () => expect((await mail.waiting())[0]?.attempts).toBe(1))
    await mail.close()
    const box = await postbox()
    await sendingTo(box)
    await vi.waitFor(() => expect(box.letters).toHaveLength(1))
  })

  it('or dies half way: the letter is sent again', async () => {
    let dying = true
    const box: Postbox = await postbox({
      onData(stream, session, done) {
        if (dying) {
          dying = false
          // Without an answer, in the middle of the letter.
          stream.once('data', () => box.cut())
          return
        }
        stream.resume()
        stream.on('end', () => {
          box.letters.push({
            from: '',
            to: session.envelope.rcptTo.map(({ address }) => address),
            source: '',
          })
          done()
        })
      },
    })
    const mail = await sendingTo(box)
    await enqueue(mail)
    await vi.waitFor(async () => expect((await mail.waiting())[0]?.attempts).toBe(1))
    world.clock.advance(60)
    await vi.waitFor(() => expect(box.letters).toHaveLength(1))
    await vi.waitFor(async () => expect(await left()).toBe(0))
  })
})

describe('TLS and sign-in at the mail server', () => {
  let directory: string
  let key: string
  let cert: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hearthlock-mail-'))
    const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    execFileSync(
      'openssl',
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout ${keyFile} -out ${certFile}`.split(
        ' ',
      ),
      { stdio: 'ignore' },
    )
    key = readFileSync(keyFile, 'utf8')
    cert = readFileSync(certFile, 'utf8')
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const checking = {
    onAuth: ({ username, password }, _session, done) =>
      username === 'mailer' && password === 'p@ss/word'
        ? done(null, { user: 'mailer' })
        : done(Object.assign(new Error('no'), { responseCode: 535 })),
  } satisfies SMTPServerOptions

  it('work, with a password that needs escaping', async () => {
    const box = await postbox({ secure: true, key, cert, ...checking })
    const mail = await world.node({
      smtp: { url: box.url('mailer:p%40ss%2Fword'), from: FROM, ca: cert },
    })
    await enqueue(mail)
    await vi.waitFor(() => expect(box.letters).toHaveLength(1))
  })

  it('a wrong password costs no letter', async () => {
    const box = await postbox({ secure: true, key, cert, ...checking })
    const mail = await world.node({ smtp: { url: box.url('mailer:wrong'), from: FROM, ca: cert } })
    await enqueue(mail)
    await vi.waitFor(async () => expect((await mail.waiting())[0]?.attempts).toBe(1))
    expect(box.letters).toEqual([])
  })

  it.each([
    ['that has no STARTTLS', { hideSTARTTLS: true, disabledCommands: ['AUTH', 'STARTTLS'] }],
    ['whose STARTTLS has a certificate of its own making', {}],
  ])('a server beyond this machine %s gets nothing', async (_what, options) => {
    const box = await postbox(options)
    // The one address that leads here and does not say so.
    const smtp = createSmtp({ url: new Secret(`smtp://0.0.0.0:${box.port}`), from: FROM })
    const outcome = await smtp.send({ id: 'x', to: to.reveal(), subject: 's', text: 't' })
    expect(outcome.kind).toBe('unreachable')
    expect(box.letters).toEqual([])
    smtp.close()
  })

  it('a server with a certificate of its own making gets nothing', async () => {
    const box = await postbox({ secure: true, key, cert })
    const smtp = createSmtp({ url: box.url(), from: FROM })
    const outcome = await smtp.send({ id: 'x', to: to.reveal(), subject: 's', text: 't' })
    expect(outcome.kind).toBe('unreachable')
    expect(box.letters).toEqual([])
    smtp.close()
  })
})
