import { readFileSync } from 'node:fs'
import { isIP, isIPv4 } from 'node:net'
import { homedir, hostname } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { AppError, Secret } from '../core/index.ts'
import { type GuardConfig, guardConfig, guardEnvironment } from './guard-config.ts'

/** Everything that a person can set. Paths are absolute, ports 0..65535 (0: any free one). */
export interface Config {
  /** Which doors this process opens: the HTTP API, the MQTT listener, or both. */
  readonly role: Role
  readonly dataDir: string
  readonly rootKeyFile: string
  /** Absent: the embedded PostgreSQL. */
  readonly databaseUrl: Secret | undefined
  readonly http: {
    readonly host: string
    readonly port: number
    /** PEM texts. Absent: plain HTTP, on loopback only. */
    readonly tls: { readonly cert: string; readonly key: Secret } | undefined
    /** The origin that people's browsers and apps use, without a trailing slash, when it is not the listener's own. */
    readonly publicUrl: string | undefined
    /** Addresses and networks of reverse proxies whose X-Forwarded-For is believed. */
    readonly trustedProxies: readonly string[]
  }
  readonly mqtt: {
    readonly host: string
    readonly port: number
    /** Names and addresses that the listener's certificate is valid for. */
    readonly hostnames: readonly string[]
    /** MQTT without TLS, on loopback only. */
    readonly plain: { readonly host: string; readonly port: number } | undefined
  }
  readonly ops: { readonly host: string; readonly port: number }
  /** Absent: letters stay in the outbox. */
  readonly smtp: { readonly url: Secret; readonly from: string } | undefined
  /** How long a household may object before a dispute ends its tenure. */
  readonly disputeWaitDays: number
  readonly copies: {
    /** Where files of copies for analysts lie. */
    readonly directory: string
    /** The longest that a copy may live. */
    readonly maxDays: number
  }
  readonly guard: GuardConfig
  readonly logLevel: LogLevel
}

type LogLevel = Static<typeof LogLevel>
const LogLevel = Type.Union(
  [
    Type.Literal('debug'),
    Type.Literal('info'),
    Type.Literal('warn'),
    Type.Literal('error'),
    Type.Literal('silent'),
  ],
  { description: 'debug, info, warn, error or silent' },
)
type Role = Static<typeof Role>
const Role = Type.Union([Type.Literal('all'), Type.Literal('api'), Type.Literal('gateway')], {
  description: 'all, api or gateway',
})
const Path = Type.String({ minLength: 1, maxLength: 4096, description: 'the path of a file or directory' })
const Host = Type.String({ pattern: '^[A-Za-z0-9._:-]{1,253}$', description: 'a host name or an IP address' })
const Port = Type.Integer({
  minimum: 0,
  maximum: 65535,
  description: 'a port, 0 to 65535 (0: any free one)',
})

const PROXIES = 'IP addresses or networks (such as 192.168.0.0/16) of reverse proxies, separated by commas'

/** The keys of the environment, after numbers have been read. The descriptions complete "must be ...". */
const Environment = Type.Object({
  HEARTHLOCK_ROLE: Type.Optional(Role),
  HEARTHLOCK_DATA_DIR: Type.Optional(Path),
  HEARTHLOCK_ROOT_KEY_FILE: Type.Optional(Path),
  HEARTHLOCK_DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://.',
      description: 'the URL of a PostgreSQL database: postgres://user:password@host:port/database',
    }),
  ),
  HEARTHLOCK_HTTP_HOST: Type.Optional(Host),
  HEARTHLOCK_HTTP_PORT: Type.Optional(Port),
  HEARTHLOCK_HTTP_TLS_CERT_FILE: Type.Optional(Path),
  HEARTHLOCK_HTTP_TLS_KEY_FILE: Type.Optional(Path),
  HEARTHLOCK_PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#@\\s]+/?$',
      description: 'an origin such as https://home.example, without path or credentials',
    }),
  ),
  HEARTHLOCK_TRUSTED_PROXIES: Type.Optional(
    Type.String({
      maxLength: 4096,
      description:
        'IP addresses or networks (such as 192.168.0.0/16) of reverse proxies, separated by commas',
    }),
  ),
  HEARTHLOCK_MQTT_HOST: Type.Optional(Host),
  HEARTHLOCK_MQTT_PORT: Type.Optional(Port),
  HEARTHLOCK_MQTT_HOSTNAMES: Type.Optional(
    Type.String({
      pattern: '^\\s*[A-Za-z0-9._:-]+\\s*(,\\s*[A-Za-z0-9._:-]+\\s*)*$',
      maxLength: 4096,
      description: 'host names or IP addresses, separated by commas',
    }),
  ),
  HEARTHLOCK_MQTT_PLAIN_HOST: Type.Optional(Host),
  HEARTHLOCK_MQTT_PLAIN_PORT: Type.Optional(Port),
  HEARTHLOCK_OPS_PORT: Type.Optional(Port),
  HEARTHLOCK_SMTP_URL: Type.Optional(
    Type.String({
      pattern: '^smtps?://([^\\s/?#@:]+:[^\\s/?#@]*@)?([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:]+\\])(:\\d{1,5})?/?$',
      description:
        'the URL of a mail server: smtps://user:password@host:465, or smtp://user:password@host:587 with STARTTLS; write characters such as / and @ in the password as %2F and %40',
    }),
  ),
  HEARTHLOCK_MAIL_FROM: Type.Optional(
    Type.String({
      pattern:
        '^([^\\x00-\\x1f\\x7f<>",]{1,100} )?<[^\\s<>@",]+@[A-Za-z0-9.-]+>$|^[^\\s<>@",]+@[A-Za-z0-9.-]+$',
      description: 'the sender of letters: hearthlock@example.org, or Hearthlock <hearthlock@example.org>',
    }),
  ),
  HEARTHLOCK_DISPUTE_WAIT_DAYS: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 90, description: 'a number of days from 1 to 90' }),
  ),
  HEARTHLOCK_COPIES_DIR: Type.Optional(Path),
  HEARTHLOCK_COPIES_MAX_DAYS: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 400, description: 'a number of days from 1 to 400' }),
  ),
  ...guardEnvironment,
  HEARTHLOCK_LOG_LEVEL: Type.Optional(LogLevel),
})
type Environment = Static<typeof Environment>
type Key = keyof Environment

/** Command-line flags, each standing for one key and winning over it. */
const flagKeys = {
  role: 'HEARTHLOCK_ROLE',
  dataDir: 'HEARTHLOCK_DATA_DIR',
  rootKeyFile: 'HEARTHLOCK_ROOT_KEY_FILE',
  databaseUrl: 'HEARTHLOCK_DATABASE_URL',
  httpHost: 'HEARTHLOCK_HTTP_HOST',
  httpPort: 'HEARTHLOCK_HTTP_PORT',
  httpTlsCertFile: 'HEARTHLOCK_HTTP_TLS_CERT_FILE',
  httpTlsKeyFile: 'HEARTHLOCK_HTTP_TLS_KEY_FILE',
  publicUrl: 'HEARTHLOCK_PUBLIC_URL',
  trustedProxies: 'HEARTHLOCK_TRUSTED_PROXIES',
  mqttHost: 'HEARTHLOCK_MQTT_HOST',
  mqttPort: 'HEARTHLOCK_MQTT_PORT',
  mqttHostnames: 'HEARTHLOCK_MQTT_HOSTNAMES',
  mqttPlainHost: 'HEARTHLOCK_MQTT_PLAIN_HOST',
  mqttPlainPort: 'HEARTHLOCK_MQTT_PLAIN_PORT',
  opsPort: 'HEARTHLOCK_OPS_PORT',
  smtpUrl: 'HEARTHLOCK_SMTP_URL',
  mailFrom: 'HEARTHLOCK_MAIL_FROM',
  disputeWaitDays: 'HEARTHLOCK_DISPUTE_WAIT_DAYS',
  copiesDir: 'HEARTHLOCK_COPIES_DIR',
  copiesMaxDays: 'HEARTHLOCK_COPIES_MAX_DAYS',
  logLevel: 'HEARTHLOCK_LOG_LEVEL',
} as const satisfies Record<string, Key>

export type ConfigFlags = { [flag in keyof typeof flagKeys]?: string | number | undefined }

/** What the defaults depend on; tests bring their own. */
export interface Machine {
  isRoot: boolean
  home: string
  hostname: string
}

/** Keys of the command-line client and of the tests; the server has no use for them. */
const FOREIGN_KEYS = /^HEARTHLOCK_(TEST_.*|URL|SESSION_DIR|DEMO_DIR)$/

/**
 * Reads and checks the configuration: flags, then the environment, then defaults. An empty value counts as not set.
 * @throws AppError start_refused with one line that says what to do; it repeats no value
 */
export function readConfig(
  env: Record<string, string | undefined>,
  flags: ConfigFlags = {},
  machine: Machine = thisMachine(),
): Config {
  const values = validate({ ...present(env), ...fromFlags(flags) })
  const httpHost = values.HEARTHLOCK_HTTP_HOST ?? '127.0.0.1'
  const tls = readTls(values)
  if (!tls && !isLoopback(httpHost)) {
    refuse(
      'HTTP beyond loopback needs TLS. Set HEARTHLOCK_HTTP_TLS_CERT_FILE and HEARTHLOCK_HTTP_TLS_KEY_FILE, or leave HEARTHLOCK_HTTP_HOST at 127.0.0.1 behind a reverse proxy that has them.',
    )
  }
  const publicUrl = values.HEARTHLOCK_PUBLIC_URL?.replace(/\/$/, '')
  if (publicUrl?.startsWith('http:') && !isLoopback(new URL(publicUrl).hostname)) {
    refuse('HEARTHLOCK_PUBLIC_URL must begin with https:// unless it names this machine only (loopback).')
  }
  const role = values.HEARTHLOCK_ROLE ?? 'all'
  if (role !== 'all' && !values.HEARTHLOCK_DATABASE_URL) {
    refuse(
      'Separate processes need a database that they share. Set HEARTHLOCK_DATABASE_URL, or leave HEARTHLOCK_ROLE at all.',
    )
  }
  const dataDir = resolve(values.HEARTHLOCK_DATA_DIR ?? defaultDataDir(env, machine))
  return deepFreeze({
    role,
    dataDir,
    rootKeyFile: resolve(values.HEARTHLOCK_ROOT_KEY_FILE ?? defaultRootKeyFile(env, machine)),
    databaseUrl: values.HEARTHLOCK_DATABASE_URL ? new Secret(values.HEARTHLOCK_DATABASE_URL) : undefined,
    http: {
      host: httpHost,
      port: values.HEARTHLOCK_HTTP_PORT ?? 8080,
      tls,
      publicUrl,
      trustedProxies: trustedProxies(values),
    },
    mqtt: mqttConfig(values, machine),
    ops: { host: '127.0.0.1', port: values.HEARTHLOCK_OPS_PORT ?? 9464 },
    smtp: smtpConfig(values),
    disputeWaitDays: values.HEARTHLOCK_DISPUTE_WAIT_DAYS ?? 14,
    copies: {
      directory: resolve(values.HEARTHLOCK_COPIES_DIR ?? join(dataDir, 'copies')),
      maxDays: values.HEARTHLOCK_COPIES_MAX_DAYS ?? 90,
    },
    guard: guardConfig(values, isLoopback),
    logLevel: values.HEARTHLOCK_LOG_LEVEL ?? 'info',
  })
}

function present(env: Record<string, string | undefined>): Record<string, string> {
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[0].startsWith('HEARTHLOCK_') && !FOREIGN_KEYS.test(entry[0]) && Boolean(entry[1]),
  )
  for (const [key] of entries) {
    if (key in Environment.properties) continue
    refuse(`${key} is not a configuration key. Did you mean ${nearest(key)}?`)
  }
  return Object.fromEntries(entries)
}

function fromFlags(flags: ConfigFlags): Record<string, string> {
  const values: Record<string, string> = {}
  for (const [flag, key] of Object.entries(flagKeys)) {
    const value = flags[flag as keyof ConfigFlags]
    if (value !== undefined && value !== '') values[key] = String(value)
  }
  return values
}

function validate(texts: Record<string, string>): Environment {
  const values = Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [
      key,
      /_(PORT|DAYS|SECONDS)$/.test(key) && /^\d{1,5}$/.test(text) ? Number(text) : text,
    ]),
  )
  if (Value.Check(Environment, values)) return values
  const key = Value.Errors(Environment, values)[0]?.instancePath.slice(1) as Key
  const { description } = Environment.properties[key] as { description?: string }
  refuse(`${key} must be ${description}.`)
}

function trustedProxies({ HEARTHLOCK_TRUSTED_PROXIES: text }: Environment): string[] {
  const entries = text?.split(',').map((entry) => entry.trim()) ?? []
  if (entries.every(isNetwork)) return entries
  refuse(`HEARTHLOCK_TRUSTED_PROXIES must be ${PROXIES}.`)
}

/** An IP address, or one with the length of a prefix. Not the whole internet: then anybody could name any address. */
function isNetwork(entry: string): boolean {
  const [address = '', prefix, ...more] = entry.split('/')
  const bits = isIP(address) === 6 ? 128 : 32
  if (isIP(address) === 0 || more.length > 0) return false
  return prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= bits)
}

function readTls(values: Environment): Config['http']['tls'] {
  const { HEARTHLOCK_HTTP_TLS_CERT_FILE: certFile, HEARTHLOCK_HTTP_TLS_KEY_FILE: keyFile } = values
  if (certFile === undefined && keyFile === undefined) return undefined
  if (certFile === undefined || keyFile === undefined) {
    refuse('Set HEARTHLOCK_HTTP_TLS_CERT_FILE and HEARTHLOCK_HTTP_TLS_KEY_FILE together.')
  }
  return {
    cert: readPem(certFile, 'HEARTHLOCK_HTTP_TLS_CERT_FILE'),
    key: new Secret(readPem(keyFile, 'HEARTHLOCK_HTTP_TLS_KEY_FILE')),
  }
}

function readPem(path: string, key: Key): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    refuse(`${key} names a file that cannot be read.`, cause)
  }
  if (!text.includes('-----BEGIN ')) refuse(`${key} names a file that is not in PEM format.`)
  return text
}

function smtpConfig({ HEARTHLOCK_SMTP_URL: url, HEARTHLOCK_MAIL_FROM: from }: Environment): Config['smtp'] {
  if (url === undefined && from === undefined) return undefined
  if (url === undefined || from === undefined) {
    refuse('Set HEARTHLOCK_SMTP_URL and HEARTHLOCK_MAIL_FROM together.')
  }
  return { url: new Secret(url), from }
}

function mqttConfig(values: Environment, machine: Machine): Config['mqtt'] {
  const host = values.HEARTHLOCK_MQTT_HOST ?? '127.0.0.1'
  const plainHost = values.HEARTHLOCK_MQTT_PLAIN_HOST ?? '127.0.0.1'
  if (!isLoopback(plainHost)) {
    refuse(
      'MQTT without TLS is for loopback only. Set HEARTHLOCK_MQTT_PLAIN_HOST to 127.0.0.1, and let devices use HEARTHLOCK_MQTT_HOST and HEARTHLOCK_MQTT_PORT with TLS.',
    )
  }
  const named = values.HEARTHLOCK_MQTT_HOSTNAMES?.split(',').map((name) => name.trim())
  const wildcard = host === '0.0.0.0' || host === '::'
  const own = isLoopback(host) ? [] : [wildcard ? machine.hostname : host]
  return {
    host,
    port: values.HEARTHLOCK_MQTT_PORT ?? 8883,
    hostnames: named ?? ['localhost', '127.0.0.1', '::1', ...own],
    plain:
      values.HEARTHLOCK_MQTT_PLAIN_PORT === undefined
        ? undefined
        : { host: plainHost, port: values.HEARTHLOCK_MQTT_PLAIN_PORT },
  }
}

function defaultDataDir(env: Record<string, string | undefined>, { isRoot, home }: Machine): string {
  return isRoot ? '/var/lib/hearthlock' : join(xdg(env.XDG_DATA_HOME, home, '.local/share'), 'hearthlock')
}

function defaultRootKeyFile(env: Record<string, string | undefined>, { isRoot, home }: Machine): string {
  return isRoot
    ? '/etc/hearthlock/root.key'
    : join(xdg(env.XDG_CONFIG_HOME, home, '.config'), 'hearthlock', 'root.key')
}

/** XDG Base Directory Specification: a relative path there is invalid and ignored. */
function xdg(value: string | undefined, home: string, fallback: string): string {
  return value && isAbsolute(value) ? value : join(home, fallback)
}

function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return bare === 'localhost' || bare === '::1' || (isIPv4(bare) && bare.startsWith('127.'))
}

function thisMachine(): Machine {
  return { isRoot: process.getuid?.() === 0, home: homedir(), hostname: hostname() }
}

function nearest(unknown: string): string {
  const known = Object.keys(Environment.properties)
  return known.reduce((best, key) => (distance(unknown, key) < distance(unknown, best) ? key : best))
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (const [index, char] of [...a].entries()) {
    const next = [index + 1]
    for (let column = 1; column <= b.length; column++) {
      const replaced = (row[column - 1] as number) + (char === b[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[column] as number) + 1, (next[column - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null && !(member instanceof Secret)) deepFreeze(member)
  }
  return Object.freeze(value)
}

function refuse(message: string, cause?: unknown): never {
  throw new AppError('start_refused', { message, cause })
}
