import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { Log } from 'sarif'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/index.ts'
import type { ProbeResult } from '../../src/probes/index.ts'

interface Ran {
  code: number
  out: string
  err: string
}

async function run(args: string[], { input = '', isTTY = false } = {}): Promise<Ran> {
  const said = { out: '', err: '' }
  const into = (name: 'out' | 'err') =>
    Object.assign(
      new Writable({
        write(chunk, _encoding, done) {
          said[name] += chunk
          done()
        },
      }),
      { isTTY },
    )
  const terminal = { stdin: Readable.from([input]), stdout: into('out'), stderr: into('err') }
  const code = await runCli(['probe', '--timeout', '1', ...args], terminal, {})
  process.exitCode = undefined
  return { code, ...said }
}

describe('hearthlock probe', () => {
  let directory: string
  const servers: Server[] = []
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hearthlock-probe-'))
  })
  afterAll(async () => {
    for (const server of servers) server.close()
    await rm(directory, { recursive: true, force: true })
  })
  afterEach(() => {
    process.exitCode = undefined
  })

  /** As Redis answers one question; `undefined` for a server that says nothing. */
  async function address(answer: string | undefined): Promise<string> {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', () => answer !== undefined && socket.end(answer))
      if (answer === undefined) socket.unref()
    }).unref()
    servers.push(server)
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    return `redis://127.0.0.1:${(server.address() as { port: number }).port}`
  }
  const open = () => address(':3\r\n')
  const locked = () => address('-NOAUTH Authentication required.\r\n')

  it('exits 0 when nothing is open, 1 when something is, 3 when of an address nothing can be told', async () => {
    const [opened, closed, mute] = [await open(), await address('-DENIED\r\n'), await address(undefined)]
    expect((await run([closed])).code).toBe(0)
    expect((await run(['127.0.0.1:1'])).code).toBe(0)
    expect((await run([closed, mute])).code).toBe(3)
    expect((await run([closed, opened, mute])).code).toBe(1)
  })

  it('shows what is open first, and says what to do', async () => {
    const { out } = await run([await address('-DENIED\r\n'), await open()])
    const [header = '', first = ''] = out.split('\n')
    expect(header).toMatch(/^VERDICT +ADDRESS +REACHED AT +PROTOCOL +WHAT WAS SEEN$/)
    expect(first).toMatch(/^OPEN +redis:\/\/127.0.0.1:\d+ .*counted 3 keys; without credentials$/)
    expect(out).toContain('1 open, 1 protected, 0 other, 0 without an answer.')
    expect(out).toContain('Close it to the network first')
  })

  it.each([
    ['no address', []],
    ['credentials in an address', ['redis://a:b@c']],
    ['a protocol that there is not', ['gopher://127.0.0.1']],
    ['an option that there is not', ['--fast', '127.0.0.1']],
    ['a list that is not there', ['--file', '/nowhere/list']],
    ['two formats', ['--json', '--sarif', '127.0.0.1']],
    ['a time that is none', ['--timeout', 'soon', '127.0.0.1']],
  ])('exits 2 for %s, and contacts nobody', async (_, args) => {
    const { code, err, out } = await run(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/^error: /)
  })

  it('writes JSON that holds every result', async () => {
    const { out } = await run(['--json', await open(), await locked()])
    const document = JSON.parse(out) as { counts: Record<string, number>; results: ProbeResult[] }
    expect(document.counts).toEqual({ open: 1, protected: 1, other: 0, silent: 0 })
    expect(document.results[0]).toMatchObject({ verdict: 'open', how: 'no-credentials', protocol: 'redis' })
  })

  it('writes SARIF 2.1.0 in which an opening is an error, protection a pass, silence undecided', async () => {
    const [opened, closed, mute] = [await open(), await address('-DENIED\r\n'), await address(undefined)]
    const { out } = await run(['--sarif', opened, closed, mute, '127.0.0.1:1'])
    const log = JSON.parse(out) as Log
    expect(log.version).toBe('2.1.0')
    const [{ tool, results = [] } = { tool: { driver: { name: '' } } }] = log.runs
    expect(results.map(({ kind, level }) => [kind, level])).toEqual([
      ['fail', 'error'],
      ['pass', 'none'],
      ['notApplicable', 'none'],
      ['open', 'none'],
    ])
    const rules = tool.driver.rules?.map(({ id }) => id)
    for (const { ruleId, message, locations } of results) {
      expect(rules).toContain(ruleId)
      expect(message.text).toBeTruthy()
      expect(URL.canParse(locations?.[0]?.physicalLocation?.artifactLocation?.uri ?? '')).toBe(true)
    }
  })

  it('takes addresses from a file or from standard input, with comments', async () => {
    const file = join(directory, 'stores.txt')
    await writeFile(file, `# ours\n${await open()} # the cache\n\n`)
    expect((await run(['--file', file])).code).toBe(1)
    expect((await run(['--file', '-'], { input: `${await open()}\n` })).code).toBe(1)
  })

  it('writes the document to a file, and shows the table', async () => {
    const file = join(directory, 'probes.sarif')
    const { out } = await run(['--sarif', '--output', file, await open()])
    expect(out).toContain('OPEN')
    expect((JSON.parse(await readFile(file, 'utf8')) as Log).version).toBe('2.1.0')
  })

  it('shows progress to a person, and leaves none of it behind', async () => {
    expect((await run([await open()])).err).toBe('')
    expect((await run([await open()], { isTTY: true })).err).toBe('\rprobing: 1 of 1\r\x1b[K')
  })

  it('prints nothing that a server could steer a terminal with', async () => {
    const { out } = await run([await address('\x1b]0;owned\x07\r\n')])
    for (const part of ['\x1b', '\x07', 'owned']) expect(out).not.toContain(part)
  })
})
