/**
 * How long a store stands open before its feed is cut and somebody is paged. A real installation feeds a copy into a real
 * PostgreSQL with passwords and TLS; that is switched to `trust`, as somebody may do it to get on with their work, and the
 * clock runs until the copy is cut and until a listener has received the signed page.
 */
import { spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createClient, memorySessionStore } from '../server/src/client/index.ts'
import { startTlsPostgres } from '../server/test/support/tls-postgres.ts'
import { enrolOperator } from './support/customers.ts'
import { freePorts, until } from './support/fleet.ts'
import { median, percentile, printTable } from './support/table.ts'

const BIN = fileURLToPath(new URL('../server/bin/hearthlock.js', import.meta.url))
const SAMPLES = Number(process.env.BENCH_SAMPLES ?? 10)
const LOOK_EVERY_MS = 50

interface Copy {
  copyId: string
  state: string
}

const directory = await mkdtemp(join(tmpdir(), 'hearthlock-bench-'))
await chmod(directory, 0o711)
const secret = randomBytes(32)
const pages = new Map<number, number>()
let onPage = () => {}
const pager = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString()
    const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = request.headers
    const mac = createHmac('sha256', secret).update(`${id}.${time}.${body}`).digest('base64')
    response.writeHead(signature === `v1,${mac}` ? 204 : 401).end()
    if (signature !== `v1,${mac}`) return
    pages.set(JSON.parse(body).data.findingId, performance.now())
    onPage()
  })
})
pager.listen(0, '127.0.0.1')
await once(pager, 'listening')

const secretFile = join(directory, 'webhook.secret')
await writeFile(secretFile, `whsec_${secret.toString('base64')}\n`, { mode: 0o600 })
const [http, mqtt, ops] = await freePorts(3)
const env = {
  PATH: process.env.PATH,
  HOME: directory,
  HEARTHLOCK_LOG_LEVEL: 'silent',
  HEARTHLOCK_DATA_DIR: join(directory, 'data'),
  HEARTHLOCK_ROOT_KEY_FILE: join(directory, 'keys', 'root.key'),
  HEARTHLOCK_HTTP_PORT: String(http),
  HEARTHLOCK_MQTT_PORT: String(mqtt),
  HEARTHLOCK_OPS_PORT: String(ops),
  HEARTHLOCK_GUARD_WEBHOOK_URL: `http://127.0.0.1:${(pager.address() as AddressInfo).port}/page`,
  HEARTHLOCK_GUARD_WEBHOOK_SECRET_FILE: secretFile,
}
const store = await startTlsPostgres()
const url = `http://localhost:${http}`
const server = spawn(process.execPath, [BIN, 'start'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
try {
  const operator = createClient({ baseUrl: url, store: memorySessionStore() })
  const passkey = await enrolOperator(url, await until(server, 'enrol --code'))
  const signIn = () => operator.signIn({ clientId: 'hearthlock-operator-cli', passkey })
  await signIn()
  const made = {
    body: {
      name: 'bench',
      purpose: 'to be cut',
      fields: ['device.model', 'device.active'],
      expiresSeconds: 86_400,
      to: `postgres://postgres@127.0.0.1:${store.port}/postgres`,
      password: store.password,
      authorityPem: store.authorityPem,
    },
  }
  // Answered late on a busy machine, and there all the same.
  await operator.request('POST', '/v1/copies', made).catch(() => {})
  const { copyId } = await patiently(() => operator.request<Copy>('GET', '/v1/copies/bench'))
  const look = () => operator.request<Copy>('GET', `/v1/copies/${copyId}`)
  const state = async () => (await patiently(look)).state
  const toCut: number[] = []
  const toPage: number[] = []
  for (let finding = 1; finding <= SAMPLES; finding += 1) {
    // At any moment between two looks.
    await sleep(Math.random() * 5_000)
    const paged = new Promise<number>((resolve) => {
      onPage = () => pages.has(finding) && resolve(pages.get(finding) as number)
    })
    const openedMs = performance.now()
    const opening = store.letIn('trust')
    while ((await state()) !== 'cut') await sleep(LOOK_EVERY_MS)
    toCut.push((performance.now() - openedMs) / 1_000)
    toPage.push(((await paged) - openedMs) / 1_000)
    await opening
    await store.letIn('scram-sha-256')
    await signIn()
    for (let look = 0; look < 3; look += 1)
      await patiently(() => operator.request('POST', '/v1/stores/probe'))
    await patiently(() => operator.request('POST', `/v1/findings/${finding}/close`, { body: {} }))
    await patiently(() => operator.request('POST', `/v1/copies/${copyId}/reopen`))
  }
  const row = (what: string, samples: number[]) => ({
    'from opening the store to': what,
    'p50 s': median(samples),
    'p90 s': percentile(samples, 0.9),
    'max s': Math.max(...samples),
  })
  printTable(
    `a store that is fed opens, ${SAMPLES} times at random moments (looked at every 5 s; in 2019 it took 22 days)`,
    [row('its feed is cut', toCut), row('a signed page is received', toPage)],
  )
} finally {
  const exited = once(server, 'exit')
  server.kill('SIGINT')
  await exited
  await store.close()
  pager.close()
  await rm(directory, { recursive: true, force: true })
}

/** A machine that is busy may make a process refuse for a moment: its lease has run out. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if ((error as { status?: number }).status !== 503) throw error
      await sleep(LOOK_EVERY_MS)
    }
  }
}
