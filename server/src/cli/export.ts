import { open, rename, rm } from 'node:fs/promises'
import type { Command } from 'commander'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { print, type Terminal } from './terminal.ts'

export function addExportCommand(program: Command, context: CliContext): void {
  program
    .command('export')
    .description('write everything about you into a file, as JSON Lines')
    .requiredOption('--out <file>', 'the file; it must not be there yet')
    .action(async ({ out }: { out: string }) => {
      const body = await context.as('customer').download('/v1/me/export')
      const draft = `${out}.part`
      try {
        const { lines, last } = await write(context.terminal, body, draft)
        // The server's last word: an answer that was cut off looks like one that ended.
        if (recordOf(last) !== 'end') {
          throw new AppError('unavailable', { message: 'The export was cut off. Try again.' })
        }
        await refuseToReplace(out)
        await rename(draft, out)
        print(context.terminal, `Wrote ${lines} records to ${out}. Only you can read it.`)
      } catch (error) {
        await rm(draft, { force: true })
        throw error
      }
    })
}

/** Mode 0600: a whole home's history. */
async function write(
  { stderr }: Terminal,
  body: AsyncIterable<Uint8Array>,
  path: string,
): Promise<{ lines: number; last: string }> {
  const file = await open(path, 'wx', 0o600)
  try {
    const decoder = new TextDecoder()
    let lines = 0
    let tail = ''
    let last = ''
    for await (const chunk of body) {
      await file.write(chunk)
      const parts = (tail + decoder.decode(chunk, { stream: true })).split('\n')
      tail = parts.pop() ?? ''
      lines += parts.length
      last = parts.at(-1) ?? last
      if (stderr.isTTY) stderr.write(`\r${lines} records`)
    }
    if (stderr.isTTY) stderr.write('\r\x1b[K')
    return { lines, last }
  } finally {
    await file.close()
  }
}

async function refuseToReplace(path: string): Promise<void> {
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
    throw new AppError('invalid_request', { message: `${path} is there already.` })
  })
  await file.close()
}

function recordOf(line: string): unknown {
  try {
    return (JSON.parse(line) as { record?: unknown }).record
  } catch {
    return undefined
  }
}
