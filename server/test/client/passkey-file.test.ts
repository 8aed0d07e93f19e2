import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { passkeyFile } from '../../src/client/index.ts'
import { createSoftwarePasskey, useSoftwarePasskey } from '../../src/client/software-passkey.ts'
import { Secret } from '../../src/core/index.ts'

const origin = 'https://home.example'
const { passkey } = createSoftwarePasskey(
  { challenge: 'AAAA', rp: { id: 'home.example' }, user: { id: 'BBBB' } },
  origin,
)
const passphrase = new Secret('a long enough passphrase')
let directory: string
let path: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hearthlock-passkey-'))
  path = join(directory, 'operator-passkey.json')
})
afterEach(() => rm(directory, { recursive: true, force: true }))

describe('a passkey in a file', () => {
  it('opens with its passphrase only, and shows nothing of its key', async () => {
    const file = passkeyFile(path)
    await file.save(passkey, passphrase)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readFile(path, 'utf8')).not.toContain(passkey.privateJwk.d)
    expect(await file.open(passphrase)).toEqual(passkey)
    await expect(file.open(new Secret('another passphrase'))).rejects.toThrow('passphrase is not right')
    expect([await file.holds('home.example'), await file.holds('evil.example')]).toEqual([true, false])
  })

  it('wants a passphrase that is worth the name, and is not written over', async () => {
    const file = passkeyFile(path)
    await expect(file.save(passkey, new Secret('short'))).rejects.toThrow('at least 10')
    await file.save(passkey, passphrase)
    await expect(file.save(passkey, passphrase)).rejects.toThrow('already')
  })

  it('is not used when others can read it', async () => {
    const file = passkeyFile(path)
    await file.save(passkey, passphrase)
    await chmod(path, 0o644)
    await expect(file.open(passphrase)).rejects.toThrow('Others can read')
  })

  it('answers the server that it was made for, and no other', () => {
    const asked = { challenge: 'AAAA', rpId: 'home.example' }
    expect(useSoftwarePasskey(passkey, asked, origin).id).toBe(passkey.credentialId)
    expect(() => useSoftwarePasskey(passkey, asked, 'https://evil.example')).toThrow()
    expect(() =>
      useSoftwarePasskey(passkey, { ...asked, rpId: 'evil.example' }, 'https://evil.example'),
    ).toThrow()
  })
})
