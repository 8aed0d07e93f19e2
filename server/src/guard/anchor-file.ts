import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isAppError } from '../core/index.ts'
import { fromNote, toNote } from './audit-chain.ts'
import type { AuditAnchor } from './audit-face.ts'

/** An anchor in a file: a number and a MAC, which name nobody. Absent or unreadable counts as never written. */
export function anchorFile(path: string): AuditAnchor {
  return {
    async read() {
      try {
        return fromNote((await readFile(path, 'utf8')).trim())
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT' || isAppError(error)) return undefined
        throw error
      }
    },
    async write(anchored) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const beside = `${path}.${randomUUID()}`
      try {
        const file = await open(beside, 'wx', 0o600)
        try {
          await file.writeFile(`${toNote(anchored)}\n`)
          await file.sync()
        } finally {
          await file.close()
        }
        await rename(beside, path)
      } catch (error) {
        await rm(beside, { force: true })
        throw error
      }
    },
  }
}
