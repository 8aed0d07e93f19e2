import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../core/index.ts'

/** Mode 0600 in a directory of mode 0700, replaced as a whole: a crash leaves the old one. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  // The mode counts when it is made here; a directory that was there keeps its owner's choice.
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await chmod(draft, 0o600)
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/** @throws AppError invalid_request when others can read the file; `whatToDo` completes the sentence */
export async function refuseReadableByOthers(path: string, what: string, whatToDo: string): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o077) !== 0 && process.platform !== 'win32')
    throw new AppError('invalid_request', { message: `Others can read the ${what} ${path}. ${whatToDo}` })
}
