import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/index.ts'

describe('what a person gets wrong on the command line', () => {
  let nobody: string
  beforeAll(async () => {
    nobody = await mkdtemp(join(tmpdir(), 'hearthlock-nobody-'))
  })
  afterAll(() => rm(nobody, { recursive: true, force: true }))

  async function saidTo(args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    let said = ''
    const stream = new Writable({
      write(chunk, _encoding, done) {
        said += chunk
        done()
      },
    })
    const terminal = { stdin: Readable.from([]), stdout: stream, stderr: stream }
    expect(await runCli(args, terminal, { HEARTHLOCK_SESSION_DIR: nobody, ...env })).toBe(1)
    return said
  }

  it.each([
    [
      'a command of a group that there is not',
      ['homes', 'membres'],
      "unknown command 'membres'; there are: ",
    ],
    ['an argument too many', ['claim', 'CODE', 'Kettle'], "unexpected argument 'Kettle'"],
    ['a role that there is not', ['operators', 'invite', '--roles', 'king'], 'Allowed choices are engineer'],
    ['a file that is not there', ['device-token', '/nowhere'], 'no file or folder /nowhere/device-id'],
    ['no sign-in', ['devices'], 'Use: npx hearthlock sign-in\n'],
    ['no sign-in as an operator', ['models'], 'Use: npx hearthlock sign-in --operator\n'],
  ])('%s is said in words that help', async (_, args, words) => {
    expect(await saidTo(args)).toContain(words)
  })

  it('an address of a server that is none is refused by the name of its key', async () => {
    expect(await saidTo(['homes'], { HEARTHLOCK_URL: 'localhost' })).toContain('HEARTHLOCK_URL is not')
  })
})
