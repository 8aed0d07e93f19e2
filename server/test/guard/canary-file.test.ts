import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createCanaryFile } from '../../src/guard/canary-file.ts'
import { createCanaryMarks } from '../../src/guard/canary-marks.ts'
import { memoryKeyProvider, purposeKey } from '../../src/keys/index.ts'

const DAY_MS = 86_400_000
const provider = memoryKeyProvider()
const marks = createCanaryMarks({ keys: { purpose: (name) => purposeKey(provider, name) } })

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'canary-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

describe('the file beside the data', () => {
  it('holds canaries of today, each of which is recognised, for our user alone; the next day they are others', async () => {
    const clock = { ms: Date.parse('2026-11-24T21:00:00Z'), nowMs: () => clock.ms }
    const path = join(directory, 'data', 'restore.env')
    const where = { url: 'https://hearth.example:8443', mqttPort: 8883 }
    const file = createCanaryFile({ path, where: () => where, marks, clock })
    await file.plant()
    const text = await readFile(path, 'utf8')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(join(directory, 'data'))).toEqual(['restore.env'])
    const values = new Map(
      text
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s) as [string, string]),
    )
    expect([...values.keys()]).toEqual([
      'HEARTHLOCK_URL',
      'HEARTHLOCK_EMAIL',
      'HEARTHLOCK_PASSWORD',
      'HEARTHLOCK_ACCESS_TOKEN',
      'HEARTHLOCK_REFRESH_TOKEN',
      'MQTT_URL',
      'MQTT_USERNAME',
      'MQTT_PASSWORD',
      'CLAIM_CODE',
    ])
    for (const [name, value] of values) {
      const tried = name.endsWith('_URL') ? new URL(value).hostname : value
      expect(marks.recognise(tried), name).toEqual({ store: 'files', atMs: Date.parse('2026-11-24') })
    }

    await file.plant()
    clock.ms += DAY_MS
    expect(await readFile(path, 'utf8')).toBe(text)
    await file.plant()
    const tomorrow = await readFile(path, 'utf8')
    for (const value of values.values()) expect(tomorrow).not.toContain(value)
  })

  it('is not there before it is known where somebody would go with it', async () => {
    const path = join(directory, 'restore.env')
    await createCanaryFile({ path, where: () => undefined, marks, clock: { nowMs: () => 0 } }).plant()
    expect(await readdir(directory)).toEqual([])
  })
})
