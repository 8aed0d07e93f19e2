import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable, Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { ask, askSecret, askSecrets } from '../../src/cli/terminal.ts'

const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
const terminalOf = (stdin: NodeJS.ReadableStream) => ({ stdin, stdout: nowhere, stderr: nowhere })
const revealed = async (terminal: ReturnType<typeof terminalOf>) =>
  (await askSecret(terminal, 'One: ')).reveal()

describe('answers from a pipe', () => {
  it('are a line for each question, however many are asked at once and whenever', async () => {
    const stdin = new PassThrough()
    const terminal = terminalOf(stdin)
    stdin.write('the first ü\r\nthe sec')
    expect(await revealed(terminal)).toBe('the first ü')
    setTimeout(() => stdin.end('ond\nthird\n fourth \nlast'), 20)
    const [second, third] = await askSecrets(terminal, ['Two: ', 'Three: '])
    expect([second?.reveal(), third?.reveal()]).toEqual(['the second', 'third'])
    expect(await ask(terminal, 'Four: ')).toBe('fourth')
    expect(await revealed(terminal)).toBe('last')
    await expect(revealed(terminal)).rejects.toMatchObject({ message: 'Nothing was given for "One:".' })
    expect(await ask(terminal, 'Six: ')).toBe('')
  })

  it('that are not there are missing, and nothing waits for them', async () => {
    await expect(revealed(terminalOf(Readable.from([])))).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it.each(['a pipe', 'a file'])('come from %s of a process of its own', async (from) => {
    const terminal = new URL('../../src/cli/terminal.ts', import.meta.url).href
    const script = `import { askSecret } from '${terminal}'
      const one = await askSecret(process, 'One: ')
      await new Promise((resolve) => setTimeout(resolve, 50))
      console.log(one.reveal(), (await askSecret(process, 'Two: ')).reveal())`
    const folder = await mkdtemp(join(tmpdir(), 'hearthlock-terminal-'))
    await writeFile(join(folder, 'input'), 'a\nb')
    const file = await open(join(folder, 'input'))
    try {
      const stdin = from === 'a file' ? file.fd : 'pipe'
      const args = ['--input-type=module', '-e', script]
      const child = spawn(process.execPath, args, { stdio: [stdin, 'pipe', 'inherit'] })
      child.stdin?.end('a\nb')
      let said = ''
      child.stdout?.on('data', (chunk) => (said += chunk))
      await once(child, 'close')
      expect(said).toBe('a b\n')
    } finally {
      await file.close()
      await rm(folder, { recursive: true })
    }
  })
})
