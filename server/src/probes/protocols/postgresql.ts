import { createHash } from 'node:crypto'
import type { Connection } from '../connection.ts'
import { garbled } from '../failure.ts'
import type { How, Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'
import { createScram } from './scram.ts'

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
export const postgresql: Probe = {
  protocol: 'postgresql',
  aliases: ['postgres', 'pgsql'],
  name: 'PostgreSQL',
  defaultPorts: [5432],
  run: observe,
}

const SSL_REQUEST = 80_877_103
const PROTOCOL_3_0 = 196_608
/** SQLSTATE's class: invalid authorization specification. */
const NOT_AUTHORIZED = '28'
const LONGEST_MESSAGE = 65_536
const MOST_MESSAGES = 100
/** Of images and tutorials. */
const DEFAULT_PASSWORDS = ['postgres', 'password'] as const
/** Where a role that is named needs no password, one of these mostly exists. */
const ROLES = ['postgres', 'root', 'admin'] as const
const DATABASES = ['postgres', 'template1'] as const

async function observe(target: Target): Promise<Observation> {
  const [role, ...others] = ROLES
  let seen = await signIn(target, { role, database: DATABASES[0], password: undefined })
  if (seen.state === 'password-wanted') return byDefaultPassword(target, seen)
  // These two come after the authentication: nobody has asked for a password.
  if (seen.state === 'no-such-database') {
    seen = await signIn(target, { role, database: DATABASES[1], password: undefined })
  }
  for (const other of others) {
    if (seen.state !== 'no-such-role') break
    seen = await signIn(target, { role: other, database: DATABASES[0], password: undefined })
  }
  if (seen.state === 'no-such-role' || seen.state === 'no-such-database') {
    return {
      ...seen.facts,
      verdict: 'open',
      how: 'no-credentials',
      evidence: 'no password is asked for; whoever names an existing role and database is in',
    }
  }
  if (seen.observation) return seen.observation
  if (seen.sqlState?.startsWith(NOT_AUTHORIZED)) {
    return { ...seen.facts, verdict: 'protected', evidence: 'refuses by its host rules' }
  }
  // Starting, shutting down, full: that says nothing about who may read.
  return { ...seen.facts, verdict: 'other', evidence: `refuses for now, with SQLSTATE ${seen.sqlState}` }
}

async function byDefaultPassword(target: Target, seen: Seen): Promise<Observation> {
  const [role] = ROLES
  const locked: Observation = {
    ...seen.facts,
    verdict: 'protected',
    evidence: `asks for a password (${seen.method})`,
  }
  target.establish(locked)
  for (const password of DEFAULT_PASSWORDS) {
    const tried = await signIn(target, { role, database: DATABASES[0], password })
    if (tried.observation?.verdict === 'open') return tried.observation
  }
  return locked
}

interface Facts {
  product: string
  version?: string
  tls?: NonNullable<Observation['tls']>
}

interface Seen {
  state: 'in' | 'password-wanted' | 'no-such-role' | 'no-such-database' | 'refused'
  method?: string
  sqlState?: string
  facts: Facts
  observation?: Observation
}

interface SignInOptions {
  role: string
  database: string
  password: string | undefined
}

async function signIn(target: Target, options: SignInOptions): Promise<Seen> {
  const connection = await target.connect()
  try {
    await preferTls(connection)
    connection.write(startup(options))
    return await readSignIn(connection, options)
  } finally {
    connection.close()
  }
}

/** Asks for TLS; goes on without where there is none, as clients do by default. */
async function preferTls(connection: Connection): Promise<void> {
  const request = Buffer.alloc(8)
  request.writeInt32BE(8, 0)
  request.writeInt32BE(SSL_REQUEST, 4)
  connection.write(request)
  const answer = (await connection.read(1)).toString('latin1')
  if (answer === 'S') await connection.startTls()
  else if (answer !== 'N') garbled()
}

function startup({ role, database }: SignInOptions): Buffer {
  const pairs = ['user', role, 'database', database, 'application_name', 'hearthlock-probe']
  const body = Buffer.from(`${pairs.join('\0')}\0\0`)
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + body.length, 0)
  head.writeInt32BE(PROTOCOL_3_0, 4)
  return Buffer.concat([head, body])
}

function message(type: string, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body)
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(4 + bytes.length, 1)
  return Buffer.concat([head, bytes])
}

async function read(connection: Connection): Promise<{ type: string; body: Buffer }> {
  const head = await connection.read(5)
  const length = head.readInt32BE(1) - 4
  if (length < 0 || length > LONGEST_MESSAGE) garbled()
  return { type: String.fromCharCode(head[0] ?? 0), body: await connection.read(length) }
}

async function readSignIn(connection: Connection, options: SignInOptions): Promise<Seen> {
  const facts = (): Facts => ({ product: 'PostgreSQL', ...(connection.tls && { tls: connection.tls }) })
  for (let messages = 0; messages < MOST_MESSAGES; messages += 1) {
    const { type, body } = await read(connection)
    if (type === 'N') continue
    if (type === 'E') return { ...refusalOf(fieldsOf(body)), facts: facts() }
    if (type !== 'R' || body.length < 4) garbled()
    const kind = body.readInt32BE(0)
    if (kind === 0) return readData(connection, options, facts())
    const method = METHODS[kind] ?? garbled()
    if (options.password === undefined) return { state: 'password-wanted', method, facts: facts() }
    const answered = await answerPassword(connection, kind, body, { ...options, password: options.password })
    if (!answered) return { state: 'refused', method, facts: facts() }
  }
  return garbled()
}

const METHODS: Record<number, string> = {
  2: 'Kerberos',
  3: 'in clear',
  5: 'MD5',
  7: 'GSSAPI',
  9: 'SSPI',
  10: 'SCRAM',
}

/** Sends the password in the way that is asked for; false where that is one we cannot. */
async function answerPassword(
  connection: Connection,
  kind: number,
  body: Buffer,
  { role, password }: SignInOptions & { password: string },
): Promise<boolean> {
  if (kind === 3) connection.write(message('p', `${password}\0`))
  else if (kind === 5) {
    const inner = md5(Buffer.from(password + role))
    connection.write(message('p', `md5${md5(Buffer.concat([Buffer.from(inner), body.subarray(4, 8)]))}\0`))
  } else if (kind === 10) return scram(connection, role, password)
  else return false
  return true
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex')
}

/** The server's last word, that it is right, is left to be read as the answer to any other password is. */
async function scram(connection: Connection, role: string, password: string): Promise<boolean> {
  const dialogue = createScram(role, password)
  const name = Buffer.from('SCRAM-SHA-256\0')
  const length = Buffer.alloc(4)
  length.writeInt32BE(Buffer.byteLength(dialogue.first))
  connection.write(message('p', Buffer.concat([name, length, Buffer.from(dialogue.first)])))
  const first = await read(connection)
  if (first.type !== 'R' || first.body.length < 4 || first.body.readInt32BE(0) !== 11) return false
  connection.write(message('p', await dialogue.final(first.body.toString('utf8', 4))))
  const final = await read(connection)
  return final.type === 'R' && final.body.length >= 4 && final.body.readInt32BE(0) === 12
}

/** Signed in: what a count of the databases says. */
async function readData(connection: Connection, options: SignInOptions, facts: Facts): Promise<Seen> {
  const how: How = options.password === undefined ? 'no-credentials' : 'default-password'
  const query = 'SELECT count(*) FROM pg_catalog.pg_database'
  let count: string | undefined
  for (let messages = 0; messages < MOST_MESSAGES; messages += 1) {
    const { type, body } = await read(connection)
    if (type === 'S') {
      const [name, value] = body.toString('utf8').split('\0')
      if (name === 'server_version' && value) facts.version = value.split(' ')[0]?.slice(0, 32) ?? value
    } else if (type === 'Z') {
      if (count !== undefined) {
        const evidence = `counted ${count} databases as ${options.role}`
        return { state: 'in', facts, observation: { ...facts, verdict: 'open', how, evidence } }
      }
      count = ''
      connection.write(message('Q', `${query}\0`))
    } else if (type === 'D') count = cellOf(body)
    else if (type === 'E') {
      // Such as a connection pool's, which asks the database itself only now.
      return { ...refusalOf(fieldsOf(body)), facts }
    }
  }
  return garbled()
}

/** The only cell of a DataRow: a count. */
function cellOf(body: Buffer): string {
  const text = body.length >= 6 ? body.toString('latin1', 6) : ''
  return /^\d{1,10}$/.test(text) ? text : garbled()
}

function fieldsOf(body: Buffer): Map<string, string> {
  const fields = body
    .toString('utf8')
    .split('\0')
    .filter((field) => field !== '')
  return new Map(fields.map((field) => [field.slice(0, 1), field.slice(1)]))
}

/** By SQLSTATE and the name of the C function, for messages are in the server's language. */
function refusalOf(fields: Map<string, string>): Pick<Seen, 'state' | 'sqlState'> {
  const sqlState = fields.get('C') ?? garbled()
  if (!/^[0-9A-Z]{5}$/.test(sqlState)) garbled()
  if (sqlState === '3D000') return { state: 'no-such-database', sqlState }
  const missing = sqlState === '28000' && fields.get('R') === 'InitializeSessionUserId'
  return { state: missing ? 'no-such-role' : 'refused', sqlState }
}
