import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { effects, recordEffects } from './effects.ts'
import { postgresLog } from './support.ts'

const ROUNDS = 5
const PATIENCE = { timeout: 20_000, interval: 20 }
const appender = fileURLToPath(new URL('./appender.ts', import.meta.url))

let log: Awaited<ReturnType<typeof postgresLog>>

beforeAll(async () => {
  log = await postgresLog()
})
afterAll(() => log.drop())

/** Runs the appender until it has acknowledged `enough` records, kills it, and returns what it acknowledged. */
async function appendUntilKilled(tenures: unknown, enough: number): Promise<string[]> {
  const secret = log.provider.versions()[0]?.secret.toString('base64url') ?? ''
  const child = spawn(process.execPath, [appender, log.url, secret, JSON.stringify(tenures)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  try {
    await vi.waitFor(() => {
      if (child.exitCode !== null) throw new Error('the appender ended by itself')
      expect(output.length / 'ack 0123456789abcdef0123456789abcdef\n'.length).toBeGreaterThan(enough)
    }, PATIENCE)
  } finally {
    child.kill('SIGKILL')
    await ended
  }
  // A last line without its end was cut by the kill.
  return output
    .split('\n')
    .slice(0, -1)
    .map((line) => line.slice('ack '.length))
}

test('after kill -9 under load every acknowledged record is there once, and the reader has seen each once', async () => {
  const tenures = [await log.tenure(), await log.tenure(), await log.tenure()]
  const plain = tenures.map(({ tenureId, deviceId, keyId }) => ({ tenureId, deviceId, keyId }))
  const acknowledged: string[] = []
  for (let round = 0; round < ROUNDS; round++) {
    acknowledged.push(...(await appendUntilKilled(plain, 500 + 700 * round)))
  }

  const stream = await log.open()
  const reader = stream.reader('killed', recordEffects('killed'))
  await reader.start()
  await vi.waitFor(() => expect(reader.position).toBe(stream.stats().stream_head), PATIENCE)

  const stored: string[] = []
  for (const { tenureId } of tenures)
    for (const key of await stream.recentMessageKeys(tenureId, 1e6)) stored.push(key.toString('hex'))
  await stream.close()

  const distinct = new Set(stored)
  expect(acknowledged.length).toBeGreaterThan(1_000)
  expect(distinct.size).toBe(stored.length)
  expect(acknowledged.filter((key) => !distinct.has(key))).toEqual([])
  expect(stored.length).toBe(stream.stats().stream_head)
  expect(await effects(log.database, 'killed')).toEqual(stored.map((_, i) => i + 1))
}, 120_000)
