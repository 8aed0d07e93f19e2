import { execFileSync } from 'node:child_process'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openKeyFile } from '../../src/keys/index.ts'

let root: string
let dataDir: string
let path: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hearthlock-keys-'))
  dataDir = join(root, 'data')
  path = join(root, 'keys', 'root.key')
  await mkdir(dataDir)
})
afterEach(() => rm(root, { recursive: true, force: true }))

const open = (o: { path?: string; dataDir?: string; mayCreate?: boolean } = {}) =>
  openKeyFile({ path, dataDir, mayCreate: true, ...o })

async function refusal(o: Parameters<typeof open>[0] = {}): Promise<string> {
  const error = await open(o).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toMatchObject({ name: 'AppError', code: 'root_key_refused' })
  const { message } = error as Error
  expect(message).not.toContain('\n')
  return message
}

describe('the first start', () => {
  it('makes a random key that only its owner may read, in a directory of its own', async () => {
    const provider = await open()
    expect(provider.created).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(root, 'keys'))).mode & 0o777).toBe(0o700)
    expect(await readdir(join(root, 'keys'))).toEqual(['root.key'])
    expect(provider.versions()).toHaveLength(1)
    expect(provider.versions()[0]?.secret).toHaveLength(32)

    const again = await open()
    expect(again.created).toBe(false)
    expect(again.versions()).toEqual(provider.versions())
    expect((await open({ path: join(root, 'other', 'root.key') })).versions()).not.toEqual(
      provider.versions(),
    )
  })

  it('of two processes at once leaves both with the same key', async () => {
    const [a, b, c] = await Promise.all([open(), open(), open()])
    expect(b.versions()).toEqual(a.versions())
    expect(c.versions()).toEqual(a.versions())
    expect(await readdir(join(root, 'keys'))).toEqual(['root.key'])
  })

  it('does not make a key where a database exists already', async () => {
    expect(await refusal({ mayCreate: false })).toContain('missing')
    await expect(stat(path)).rejects.toThrow()
  })
})

describe('a key file is refused', () => {
  it.each([0o604, 0o640, 0o660, 0o620, 0o602, 0o610, 0o601])(
    'with mode %o, with the command that helps',
    async (mode) => {
      await open()
      await chmod(path, mode)
      const message = await refusal()
      expect(message).toContain(`chmod 600 ${path}`)
      execFileSync('sh', ['-c', message.slice(message.indexOf('chmod'))])
      await open()
    },
  )

  it('with a name that a shell would take apart, quoted in the command', async () => {
    const odd = join(root, "it's; a key", 'root.key')
    await open({ path: odd })
    await chmod(odd, 0o644)
    const message = await refusal({ path: odd })
    execFileSync('sh', ['-c', message.slice(message.indexOf('chmod'))])
    await open({ path: odd })
  })

  it('inside the data directory, before anything is written there', async () => {
    expect(await refusal({ path: join(dataDir, 'root.key') })).toContain('inside the data directory')
    expect(await refusal({ path: join(dataDir, 'a', 'b', 'root.key') })).toContain(
      'inside the data directory',
    )
    expect(await refusal({ path: join(root, 'x', '..', 'data', 'root.key') })).toContain('inside')
    expect(await refusal({ path: dataDir })).toContain('inside')
    expect(await readdir(dataDir)).toEqual([])
    await open({ path: join(root, 'data-keys', 'root.key') })
    await open({ path: join(root, '..data', 'root.key') })
  })

  it('when its directory is a link into the data directory', async () => {
    await mkdir(join(dataDir, 'inner'))
    await symlink(join(dataDir, 'inner'), join(root, 'keys'))
    expect(await refusal()).toContain('inside the data directory')
    expect(await readdir(join(dataDir, 'inner'))).toEqual([])
  })

  it('when it is a link to a file in the data directory, or a link that lies in it', async () => {
    await open()
    await rename(path, join(dataDir, 'root.key'))
    await symlink(join(dataDir, 'root.key'), path)
    expect(await refusal()).toContain('inside the data directory')
    await rename(join(dataDir, 'root.key'), join(root, 'root.key'))
    await symlink(join(root, 'root.key'), join(dataDir, 'link.key'))
    expect(await refusal({ path: join(dataDir, 'link.key') })).toContain('inside the data directory')
  })

  it('when a linked directory leads through the data directory, and out of it again', async () => {
    await open({ path: join(root, 'root.key') })
    await mkdir(join(dataDir, 'inner'))
    await symlink(join(root, 'root.key'), join(dataDir, 'inner', 'root.key'))
    await symlink(join(dataDir, 'inner'), join(root, 'keys'))
    expect(await refusal()).toContain('inside the data directory')
  })

  it('when the data directory is a link to where the key lies', async () => {
    await open()
    await symlink(join(root, 'keys'), join(root, 'data-link'))
    expect(await refusal({ dataDir: join(root, 'data-link') })).toContain('inside the data directory')
  })

  it('in a data directory that does not exist yet', async () => {
    expect(await refusal({ dataDir: join(root, 'keys') })).toContain('inside the data directory')
  })

  it('when it is no regular file', async () => {
    await mkdir(path, { recursive: true, mode: 0o700 })
    expect(await refusal()).toContain('not a regular file')
    const pipe = join(root, 'keys', 'pipe')
    execFileSync('mkfifo', ['-m', '600', pipe])
    expect(await refusal({ path: pipe })).toContain('not a regular file')
  })

  it('when it is damaged, and the message does not repeat it', async () => {
    await open()
    const whole = await readFile(path, 'utf8')
    const { secret } = JSON.parse(whole).keys[0]
    const entry = (over: object) => ({ version: 1, secret, createdAt: '2026-01-01T00:00:00.000Z', ...over })
    const damaged = [
      '',
      'null',
      '[]',
      whole.slice(0, -4),
      JSON.stringify({ format: 2, keys: [entry({})] }),
      JSON.stringify({ format: 1, keys: [] }),
      JSON.stringify({ format: 1, keys: [null] }),
      JSON.stringify({ format: 1, keys: [entry({}), entry({})] }),
      ...[0, -1, 1.5, 65_536, '1', null].map((version) =>
        JSON.stringify({ format: 1, keys: [entry({ version })] }),
      ),
      ...[secret.slice(1), `${secret}A`, `${secret} `, `!${secret}`, '', 7].map((bad) =>
        JSON.stringify({ format: 1, keys: [entry({ secret: bad })] }),
      ),
      JSON.stringify({ format: 1, keys: [entry({ createdAt: 'yesterday' })] }),
      ' '.repeat(2_000_000),
    ]
    for (const text of damaged) {
      await writeFile(path, text)
      const message = await refusal()
      expect(message).toContain('damaged')
      expect(message).not.toContain(secret.slice(1))
    }
    await fc.assert(
      fc.asyncProperty(fc.json(), async (text) => {
        await writeFile(path, text)
        expect(await refusal()).toContain('damaged')
      }),
      { numRuns: 30 },
    )
  })

  it.skipIf(process.getuid?.() !== 0)('when it belongs to another user (run as root)', async () => {
    await open()
    execFileSync('chown', ['12345', path])
    // The test's own user stands in for the server's: root may use what root or itself owns only.
    expect(await refusal()).toContain('chown 0')
  })
})

describe('a new root key version', () => {
  it('stands in the file beside the older ones, and is read at the next start', async () => {
    const provider = await open()
    const first = provider.versions()
    expect(await provider.addVersion()).toBe(2)
    expect(provider.versions().map((root) => root.version)).toEqual([2, 1])
    expect(provider.versions()[1]).toEqual(first[0])
    expect((await open()).versions()).toEqual(provider.versions())
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(join(root, 'keys'))).toEqual(['root.key'])
  })

  it('keeps a link to the file a link', async () => {
    await open()
    const link = join(root, 'link.key')
    await symlink(path, link)
    const provider = await open({ path: link })
    await provider.addVersion()
    expect((await open()).versions()).toEqual(provider.versions())
  })

  it('never drops one that another process added at the same time', async () => {
    const [a, b] = [await open(), await open()]
    const outcomes = await Promise.allSettled([a.addVersion(), b.addVersion()])
    const added = outcomes.filter((outcome) => outcome.status === 'fulfilled').map((outcome) => outcome.value)
    expect(added.length).toBeGreaterThan(0)
    expect(new Set(added).size).toBe(added.length)
    const present = (await open()).versions()
    expect(present).toHaveLength(1 + added.length)
    for (const { version, secret } of [...a.versions(), ...b.versions()]) {
      expect(present.find((root) => root.version === version)?.secret).toEqual(secret)
    }
  })

  it('is not added where the file was opened up meanwhile', async () => {
    const provider = await open()
    await chmod(path, 0o644)
    await expect(provider.addVersion()).rejects.toMatchObject({ code: 'root_key_refused' })
    expect(provider.versions()).toHaveLength(1)
  })
})
