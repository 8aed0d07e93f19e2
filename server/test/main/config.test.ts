import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type AppError, isAppError } from '../../src/core/index.ts'
import { type ConfigFlags, readConfig } from '../../src/main/config.ts'

const machine = { isRoot: false, home: '/home/ada', hostname: 'cabin' }

function refusal(env: Record<string, string>, flags: ConfigFlags = {}): AppError {
  try {
    readConfig(env, flags, machine)
  } catch (error) {
    if (isAppError(error, 'start_refused')) return error
    throw error
  }
  throw new Error('was not refused')
}

function pemFiles() {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlock-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const cert = join(folder, 'cert.pem')
  const key = join(folder, 'key.pem')
  writeFileSync(cert, '-----BEGIN CERTIFICATE-----\nx\n')
  writeFileSync(key, '-----BEGIN PRIVATE KEY-----\nmarked-key\n')
  return { HEARTHLOCK_HTTP_TLS_CERT_FILE: cert, HEARTHLOCK_HTTP_TLS_KEY_FILE: key }
}

describe('defaults', () => {
  it('keeps the data and the root key of an ordinary user in their XDG directories', () => {
    expect(readConfig({}, {}, machine)).toMatchObject({
      dataDir: '/home/ada/.local/share/hearthlock',
      rootKeyFile: '/home/ada/.config/hearthlock/root.key',
    })
    const env = { XDG_DATA_HOME: '/data', XDG_CONFIG_HOME: 'relative/ignored' }
    expect(readConfig(env, {}, machine)).toMatchObject({
      dataDir: '/data/hearthlock',
      rootKeyFile: '/home/ada/.config/hearthlock/root.key',
    })
  })

  it('keeps those of root in the system directories', () => {
    const env = { XDG_DATA_HOME: '/data' }
    expect(readConfig(env, {}, { ...machine, isRoot: true })).toMatchObject({
      dataDir: '/var/lib/hearthlock',
      rootKeyFile: '/etc/hearthlock/root.key',
    })
  })

  it('listens on loopback only, without plain MQTT, on an embedded database', () => {
    const config = readConfig({ PATH: '/bin', HEARTHLOCK_LOG_LEVEL: '' }, {}, machine)
    expect(config).toMatchObject({
      databaseUrl: undefined,
      http: { host: '127.0.0.1', port: 8080, tls: undefined, publicUrl: undefined },
      mqtt: { host: '127.0.0.1', port: 8883, plain: undefined, hostnames: ['localhost', '127.0.0.1', '::1'] },
      ops: { host: '127.0.0.1', port: 9464 },
      disputeWaitDays: 14,
      copies: { directory: '/home/ada/.local/share/hearthlock/copies', maxDays: 90 },
      logLevel: 'info',
    })
    expect(Object.isFrozen(config.mqtt.hostnames)).toBe(true)
  })
})

describe('reading', () => {
  it('takes values from the environment, and flags win over them', () => {
    const env = { HEARTHLOCK_HTTP_PORT: '0', HEARTHLOCK_DATA_DIR: '/env', HEARTHLOCK_MQTT_PORT: '65535' }
    const config = readConfig(env, { dataDir: '/flag', mqttPort: 1 }, machine)
    expect(config).toMatchObject({ dataDir: '/flag', http: { port: 0 }, mqtt: { port: 1 } })
  })

  it('names the certificate of the MQTT listener as told, or after the address it listens on', () => {
    const hostnames = (env: Record<string, string>) => readConfig(env, {}, machine).mqtt.hostnames
    expect(hostnames({ HEARTHLOCK_MQTT_HOSTNAMES: 'a.example, 10.0.0.1' })).toEqual(['a.example', '10.0.0.1'])
    expect(hostnames({ HEARTHLOCK_MQTT_HOST: '0.0.0.0' })).toContain('cabin')
    expect(hostnames({ HEARTHLOCK_MQTT_HOST: '10.0.0.7' })).toContain('10.0.0.7')
  })

  it('leaves the keys of the command-line client and of the tests alone', () => {
    const env = { HEARTHLOCK_URL: 'x', HEARTHLOCK_SESSION_DIR: 'x', HEARTHLOCK_TEST_DATABASE_URL: 'x' }
    expect(() => readConfig(env, {}, machine)).not.toThrow()
  })

  it('prints neither the database password nor the TLS key', () => {
    const env = { HEARTHLOCK_DATABASE_URL: 'postgres://u:marked-password@db/h', ...pemFiles() }
    const config = readConfig(env, {}, machine)
    expect(config.databaseUrl?.reveal()).toContain('marked-password')
    expect(config.http.tls?.key.reveal()).toContain('marked-key')
    expect(inspect(config, { depth: 9 }) + JSON.stringify(config)).not.toMatch(/marked/)
  })
})

describe('refusals', () => {
  it('refuses a key that does not exist and names the nearest one', () => {
    expect(refusal({ HEARTHLOCK_HTTP_PROT: '1' }).message).toBe(
      'HEARTHLOCK_HTTP_PROT is not a configuration key. Did you mean HEARTHLOCK_HTTP_PORT?',
    )
    expect(refusal({ HEARTHLOCK_DATADIR: '1' }).message).toContain('HEARTHLOCK_DATA_DIR?')
    expect(refusal({ HEARTHLOCK_URLS: '1' }).message).toContain('not a configuration key')
  })

  it.each(['65536', '-1', '80.5', 'http', '1e3', '0x50', ' 80', '123456'])('refuses the port %j', (port) => {
    expect(refusal({ HEARTHLOCK_HTTP_PORT: port }).message).toMatch(/^HEARTHLOCK_HTTP_PORT must be a port/)
  })

  it('refuses HTTP beyond loopback without TLS, and says what to do', () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'home.example', '127.evil.example']) {
      expect(refusal({ HEARTHLOCK_HTTP_HOST: host }).message).toContain('HEARTHLOCK_HTTP_TLS_CERT_FILE')
    }
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
      expect(readConfig({ HEARTHLOCK_HTTP_HOST: host }, {}, machine).http.host).toBe(host)
    }
    expect(readConfig({ HEARTHLOCK_HTTP_HOST: '0.0.0.0', ...pemFiles() }, {}, machine).http.host).toBe(
      '0.0.0.0',
    )
  })

  it('refuses half a TLS configuration, and files that are missing or not PEM', () => {
    const { HEARTHLOCK_HTTP_TLS_CERT_FILE: cert, HEARTHLOCK_HTTP_TLS_KEY_FILE: key } = pemFiles()
    expect(refusal({ HEARTHLOCK_HTTP_TLS_CERT_FILE: cert }).message).toContain('together')
    expect(refusal({}, { httpTlsCertFile: cert, httpTlsKeyFile: `${key}.absent` }).message).toContain(
      'KEY_FILE',
    )
    writeFileSync(cert, 'nothing')
    expect(refusal({}, { httpTlsCertFile: cert, httpTlsKeyFile: key }).message).toContain('PEM')
  })

  it('refuses plain MQTT beyond loopback', () => {
    const env = { HEARTHLOCK_MQTT_PLAIN_PORT: '1883' }
    expect(readConfig(env, {}, machine).mqtt.plain).toEqual({ host: '127.0.0.1', port: 1883 })
    expect(refusal({ ...env, HEARTHLOCK_MQTT_PLAIN_HOST: '0.0.0.0' }).message).toContain('loopback only')
  })

  it('refuses a public address that is not an origin, or that is plain HTTP on the network', () => {
    const read = (url: string) => readConfig({ HEARTHLOCK_PUBLIC_URL: url }, {}, machine).http.publicUrl
    expect(read('https://home.example/')).toBe('https://home.example')
    expect(read('http://127.0.0.1:8080')).toBe('http://127.0.0.1:8080')
    for (const url of ['http://home.example', 'https://a/b', 'ftp://a', 'https://u:p@a', 'home.example']) {
      expect(refusal({ HEARTHLOCK_PUBLIC_URL: url }).message).toContain('HEARTHLOCK_PUBLIC_URL')
    }
  })

  it('repeats no value in its message', () => {
    const error = refusal({ HEARTHLOCK_DATABASE_URL: 'mysql://u:marked@db' })
    expect(error.message + String(error.detail)).not.toContain('marked')
    expect(error.message).toContain('HEARTHLOCK_DATABASE_URL must be the URL of a PostgreSQL database')
  })

  it('refuses a log level that does not exist', () => {
    expect(refusal({ HEARTHLOCK_LOG_LEVEL: 'loud' }).message).toContain('debug, info, warn, error or silent')
  })
})

describe('trusted proxies', () => {
  it('are nobody unless named, and are addresses or networks', () => {
    expect(readConfig({}, {}, machine).http.trustedProxies).toEqual([])
    const env = { HEARTHLOCK_TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8,2001:db8::/32' }
    expect(readConfig(env, {}, machine).http.trustedProxies).toEqual([
      '127.0.0.1',
      '10.0.0.0/8',
      '2001:db8::/32',
    ])
  })

  it.each(['proxy.example', '10.0.0.0/33', '10.0.0.0/8/8', '0.0.0.0/0', '10.0.0.1,', 'true', '10.0.0.0/'])(
    'are not %s',
    (text) => {
      const { message } = refusal({ HEARTHLOCK_TRUSTED_PROXIES: text })
      expect(message).toMatch(/^HEARTHLOCK_TRUSTED_PROXIES must be IP addresses or networks/)
      expect(message).not.toContain(text)
    },
  )
})

describe('mail', () => {
  const from = { HEARTHLOCK_MAIL_FROM: 'Hearthlock <hearthlock@maker.example>' }

  it('is sent when a server and a sender are named, and neither alone', () => {
    expect(readConfig({}, {}, machine).smtp).toBeUndefined()
    const env = { HEARTHLOCK_SMTP_URL: 'smtps://mailer:marked%2Fsecret@mail.example:465', ...from }
    const { smtp } = readConfig(env, {}, machine)
    expect(smtp?.url.reveal()).toBe(env.HEARTHLOCK_SMTP_URL)
    expect(JSON.stringify(smtp)).not.toContain('marked')
    expect(refusal(from).message).toContain('together')
    expect(refusal({ HEARTHLOCK_SMTP_URL: 'smtps://mail.example' }).message).toContain('together')
  })

  it.each([
    'mail.example',
    'http://mail.example',
    'smtps://u:marked@mail.example?tls.rejectUnauthorized=false',
  ])('does not go to %s', (url) => {
    const { message } = refusal({ HEARTHLOCK_SMTP_URL: url, ...from })
    expect(message).toMatch(/^HEARTHLOCK_SMTP_URL must be the URL of a mail server/)
    expect(message).not.toContain('marked')
  })

  it.each(['nobody', 'a@b.example, c@d.example', 'A <a@b.example>\r\nBcc: c@d.example'])(
    'is not sent by %s',
    (text) => {
      const env = { HEARTHLOCK_SMTP_URL: 'smtps://mail.example', HEARTHLOCK_MAIL_FROM: text }
      expect(refusal(env).message).toMatch(/^HEARTHLOCK_MAIL_FROM must be/)
    },
  )
})

describe('the guard', () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
  const url = 'https://pager.example/hook'

  it('calls nobody unless a webhook and its secret are named, and looks every 5 seconds and 2 minutes', () => {
    const intervals = { fedMs: 5_000, otherMs: 120_000 }
    expect(readConfig({}, {}, machine).guard).toEqual({ webhook: undefined, intervals })
    const { webhook } = readConfig(
      { HEARTHLOCK_GUARD_WEBHOOK_URL: url, HEARTHLOCK_GUARD_WEBHOOK_SECRET: secret },
      {},
      machine,
    ).guard
    expect(webhook?.url.reveal()).toBe(url)
    expect(JSON.stringify(webhook)).not.toMatch(/whsec|pager/)
    for (const half of [{ HEARTHLOCK_GUARD_WEBHOOK_URL: url }, { HEARTHLOCK_GUARD_WEBHOOK_SECRET: secret }]) {
      expect(refusal(half).message).toContain('together')
    }
  })

  it('takes the secret from a file that nobody else can read', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hearthlock-config-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'webhook.secret')
    const env = { HEARTHLOCK_GUARD_WEBHOOK_URL: url, HEARTHLOCK_GUARD_WEBHOOK_SECRET_FILE: file }
    expect(refusal(env).message).toContain('cannot be read')
    writeFileSync(file, `${secret}\n`, { mode: 0o644 })
    expect(refusal(env).message).toContain('chmod 600')
    chmodSync(file, 0o600)
    expect(readConfig(env, {}, machine).guard.webhook?.secret.reveal()).toBe(secret)
    expect(refusal({ ...env, HEARTHLOCK_GUARD_WEBHOOK_SECRET: secret }).message).toContain('not both')
  })

  it.each(['http://pager.example/hook', 'pager.example', 'https://user:marked@pager.example/'])(
    'does not call %s',
    (wrong) => {
      const env = { HEARTHLOCK_GUARD_WEBHOOK_URL: wrong, HEARTHLOCK_GUARD_WEBHOOK_SECRET: secret }
      const { message } = refusal(env)
      expect(message).toMatch(/^HEARTHLOCK_GUARD_WEBHOOK_URL must/)
      expect(message).not.toContain('marked')
    },
  )

  it('refuses a secret that is none, and intervals at which nothing would be noticed', () => {
    const env = { HEARTHLOCK_GUARD_WEBHOOK_URL: url, HEARTHLOCK_GUARD_WEBHOOK_SECRET: 'marked' }
    expect(refusal(env).message).toMatch(/^HEARTHLOCK_GUARD_WEBHOOK_SECRET must be whsec_/)
    expect(refusal({ HEARTHLOCK_GUARD_FEED_INTERVAL_SECONDS: '0' }).message).toContain('1 to 60')
    expect(refusal({ HEARTHLOCK_GUARD_INTERVAL_SECONDS: '86400' }).message).toContain('5 to 3600')
  })
})
