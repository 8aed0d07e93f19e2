import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../core/index.ts'
import type { CanaryMarks, Mark } from './canary-marks.ts'

export interface CanaryFileOptions {
  path: string
  /** Where somebody would go with what is in it: `http://host:port` and an MQTT port. */
  where: () => { url: string; mqttPort: number | undefined } | undefined
}

/** A file as operators leave them, with credentials that open nothing. It is of today. */
export function createCanaryFile(o: CanaryFileOptions & { marks: CanaryMarks; clock: Clock }): {
  plant(): Promise<void>
} {
  const { path, marks, clock } = o
  return {
    async plant() {
      const where = o.where()
      if (!where) return
      const mark = { store: 'files' as const, atMs: clock.nowMs() }
      const before = await readFile(path, 'utf8').catch(() => '')
      if (before.includes(marks.token(mark, 0).reveal())) return
      const text = textOf(marks, mark, where)
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const beside = `${path}.${randomUUID()}`
      try {
        await writeFile(beside, text, { mode: 0o600, flag: 'wx' })
        await rename(beside, path)
      } catch (error) {
        await rm(beside, { force: true })
        throw error
      }
    },
  }
}

function textOf(
  marks: CanaryMarks,
  mark: Mark,
  { url, mqttPort }: { url: string; mqttPort: number | undefined },
): string {
  const code = marks.code(mark)
  const label = code.toLowerCase()
  const { protocol, hostname: name, port } = new URL(url)
  // Neither an address nor a name can begin with a label before an IPv6 address.
  const hostname = name.startsWith('[') ? 'localhost' : name
  const host = `restore-${label}.${hostname}`
  return [
    `HEARTHLOCK_URL=${protocol}//${host}${port && `:${port}`}`,
    `HEARTHLOCK_EMAIL=restore-${label}@${hostname}`,
    `HEARTHLOCK_PASSWORD=${marks.password(mark).reveal()}`,
    `HEARTHLOCK_ACCESS_TOKEN=${marks.token(mark, 0).reveal()}`,
    `HEARTHLOCK_REFRESH_TOKEN=${marks.token(mark, 1).reveal()}`,
    ...(mqttPort === undefined ? [] : [`MQTT_URL=mqtts://${host}:${mqttPort}`]),
    `MQTT_USERNAME=${marks.deviceId(mark, 0)}`,
    `MQTT_PASSWORD=${marks.password(mark).reveal()}`,
    `CLAIM_CODE=${code.replace(/(.{4})(?=.)/g, '$1-')}`,
    '',
  ].join('\n')
}
