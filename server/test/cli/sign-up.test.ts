import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runCli } from '../../src/cli/index.ts'
import { Personal, Secret } from '../../src/core/index.ts'
import { type Rooms, signUpCode, startRooms } from '../support/start-rooms.ts'

describe('signing up at a terminal', () => {
  let rooms: Rooms
  beforeAll(async () => {
    rooms = await startRooms()
  })
  afterAll(() => rooms.close())

  it('asks for the password, then for the code of the letter, and the account is there', async () => {
    const tty = () => Object.assign(new PassThrough(), { isTTY: true })
    const [stdin, stdout, stderr] = [tty(), tty(), tty()]
    let said = ''
    for (const stream of [stdout, stderr]) stream.on('data', (chunk) => (said += chunk))
    const email = new Personal('ada@example.org')
    const args = ['sign-up', '--email', email.reveal(), '--name', 'Ada']
    const done = runCli(args, { stdin, stdout, stderr }, { HEARTHLOCK_URL: rooms.url, HOME: '/nonexistent' })
    await vi.waitFor(() => expect(said).toContain('Password: '))
    stdin.write('correct horse battery\n')
    await vi.waitFor(() => expect(said).toContain('enter the code here'), { timeout: 15_000 })
    stdin.write(`${(await signUpCode(rooms.mail, email)).reveal().toLowerCase()}\n`)
    expect(await done).toBe(0)
    expect(said).toContain('The account is there')
    expect(said).not.toContain(new Secret('correct horse battery').reveal())
    expect(await rooms.vault.findByEmail('customer', email)).toBeDefined()
  })
})
