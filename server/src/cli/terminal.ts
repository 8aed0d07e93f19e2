import { createInterface } from 'node:readline/promises'
import { type Readable, Writable } from 'node:stream'
import { AppError, Secret } from '../core/index.ts'

/** Where a command reads and writes: the process's own streams, or a test's. */
export interface Terminal {
  stdin: NodeJS.ReadableStream & { isTTY?: boolean }
  stdout: NodeJS.WritableStream & { isTTY?: boolean }
  stderr: NodeJS.WritableStream & { isTTY?: boolean }
}

export function print(terminal: Terminal, text = ''): void {
  terminal.stdout.write(`${clean(text)}\n`)
}

/** Names come from people: control characters in them must not reach a terminal. Line feed and our own colours stay out of this. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '�')
}

/** A table with aligned columns; without rows, `none` instead: what is missing and how it comes to be. */
export function table(
  terminal: Terminal,
  { header, rows, none }: { header: string[]; rows: string[][]; none: string },
): void {
  if (rows.length === 0) {
    print(terminal, none)
    return
  }
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  for (const row of [header, ...rows]) {
    print(
      terminal,
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  }
}

/** Asks for a line that may be seen as it is typed; empty when there is nothing to read. */
export async function ask({ stdin, stderr }: Terminal, question: string): Promise<string> {
  stderr.write(question)
  if (!stdin.isTTY) return (await lineOf(stdin))?.trim() ?? ''
  const lines = createInterface({ input: stdin })
  try {
    for await (const line of lines) return line.trim()
  } finally {
    lines.close()
  }
  return ''
}

/** See `askSecrets`. */
export async function askSecret(terminal: Terminal, question: string): Promise<Secret> {
  const [answer] = (await askSecrets(terminal, [question])) as [Secret]
  return answer
}

/**
 * Asks for secrets without showing them; from a pipe, takes a line for each. Secrets are never arguments: other
 * users of the machine can read those.
 * @throws AppError invalid_request when there is nothing to read
 */
export async function askSecrets(terminal: Terminal, questions: readonly string[]): Promise<Secret[]> {
  const { stdin } = terminal
  const answers: Secret[] = []
  if (stdin.isTTY) await typeUnseen(terminal, questions, answers)
  else
    for (const _question of questions) {
      const line = await lineOf(stdin)
      if (line === undefined) break
      answers.push(new Secret(line))
    }
  const unanswered = questions[answers.length]
  if (unanswered === undefined) return answers
  throw new AppError('invalid_request', { message: `Nothing was given for "${unanswered.trim()}".` })
}

async function typeUnseen(
  { stdin, stderr }: Terminal,
  questions: readonly string[],
  answers: Secret[],
): Promise<void> {
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: hidden, terminal: true })
  stderr.write(questions[0] ?? '')
  try {
    for await (const line of lines) {
      answers.push(new Secret(line))
      stderr.write('\n')
      const question = questions[answers.length]
      if (question === undefined) return
      stderr.write(question)
    }
  } finally {
    lines.close()
  }
}

/** One line of a pipe, and not a byte more: what follows is for the next question, which may come much later. */
async function lineOf(stdin: NodeJS.ReadableStream): Promise<string | undefined> {
  const parts: Buffer[] = []
  for await (const chunk of (stdin as Readable).iterator({ destroyOnReturn: false })) {
    const bytes = Buffer.from(chunk)
    const end = bytes.indexOf('\n')
    parts.push(end < 0 ? bytes : bytes.subarray(0, end))
    if (end < 0) continue
    if (end + 1 < bytes.length) stdin.unshift(bytes.subarray(end + 1))
    return textOf(parts)
  }
  return parts.length > 0 ? textOf(parts) : undefined
}

function textOf(parts: Buffer[]): string {
  return Buffer.concat(parts).toString().replace(/\r$/, '')
}
