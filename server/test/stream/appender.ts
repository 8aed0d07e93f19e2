/**
 * A process for the kill test: appends without end, writes `ack <message key>` on standard output for every
 * acknowledged record, and follows the log with the reader `killed`.
 * Arguments: database URL, root key in base64url, tenures as JSON.
 */
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { openDatabase, silentLog, systemClock } from '../../src/core/index.ts'
import { createKeys, memoryKeyProvider } from '../../src/keys/index.ts'
import { createStream, type StreamWriter } from '../../src/stream/index.ts'
import { recordEffects } from './effects.ts'

const [url = '', secret = '', tenures = '[]'] = process.argv.slice(2)
const database = openDatabase({ connection: { connectionString: url }, log: silentLog })
const versions = () => [{ version: 1, secret: Buffer.from(secret, 'base64url') }]
const provider = { ...memoryKeyProvider(), versions }
const keys = createKeys({ provider, database, clock: systemClock, log: silentLog })
await keys.start()
const stream = createStream({
  database,
  keys,
  clock: systemClock,
  log: silentLog,
  limits: { batchRecords: 50, readRecords: 60, tailRecords: 500 },
})
await stream.start()
await stream.reader('killed', recordEffects('killed')).start()
const writers: StreamWriter[] = await Promise.all(JSON.parse(tenures).map(stream.writer))

await Promise.all(
  Array.from({ length: 200 }, async (_, lane) => {
    const writer = writers[lane % writers.length] as StreamWriter
    for (;;) {
      const messageKey = randomBytes(16)
      await writer.append({ kind: 'events', payload: Buffer.from('{}'), paths: ['1/A.B'], messageKey })
      // Synchronous: what is acknowledged has left the process before the next step.
      writeSync(1, `ack ${messageKey.toString('hex')}\n`)
    }
  }),
)
