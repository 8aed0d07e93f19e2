import { setTimeout as delay } from 'node:timers/promises'
import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { CUSTOMER, claim, connect, provision, settle } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

describe('a reset by command', () => {
  let at: Installation
  let device: MqttClient

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await settle(at, 'Home')
    const [plug] = await provision(at, 'hearth-plug', 1)
    if (!plug) throw new Error('no device was provisioned')
    device = await connect(at, plug)
    await claim(at, plug, 'plug')
  }, 120_000)
  afterAll(async () => {
    await device?.endAsync(true)
    await at.dispose()
  })

  const run = (...args: string[]) => at.cli(args)
  const signIn = () => at.cli(['sign-in', '--email', CUSTOMER.email], { input: CUSTOMER.password })
  const isSignedIn = async () => (await run('whoami')).code === 0

  it('counts first, and asks before it does anything', async () => {
    const { stdout } = await run('reset', '--scope', 'all', '--quietly', '--dry-run')
    expect(stdout).toMatch(/\b1 {2}devices that prove their key anew/)
    const refused = await at.cli(['reset', '--scope', 'all', '--quietly'], { input: 'no' })
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('Nothing was reset.') })
    const undecided = await run('reset', '--scope', 'all', '--yes')
    expect(undecided).toMatchObject({ code: 1, stderr: expect.stringContaining('--sign-out') })
    expect((await run('reset', 'list')).stdout).toContain('Nothing has been reset yet.')
  })

  it('quietly: the device and the command of the customer come back by themselves', async () => {
    const closed = new Promise<void>((done) => device.once('close', () => done()))
    const { code, stdout } = await at.cli(['reset', '--scope', 'all', '--quietly'], { input: 'reset' })
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('is void since') })
    expect(stdout).toContain('1 connections were closed.')
    await closed
    await vi.waitFor(() => expect(device.connected).toBe(true), { timeout: 20_000 })
    expect(await isSignedIn()).toBe(true)
    expect((await run('reset', 'list')).stdout).toContain('quietly')
    expect((await run('audit')).stdout).toContain('reset.made_void')
  })

  it('with sign-out: the customer signs in anew', async () => {
    await run('reset', '--scope', 'customers', '--sign-out', '--yes')
    expect(await isSignedIn()).toBe(false)
    expect((await signIn()).code).toBe(0)
    expect(await isSignedIn()).toBe(true)
  })

  it('broken off by kill -9 at any moment it has not begun, or is in force and goes on', {
    timeout: 180_000,
  }, async () => {
    const outcomes = new Set<boolean>()
    for (let round = 0; round < 4; round++) {
      const before = (await run('reset', 'list')).stdout.split('\n').length
      const asked = run('reset', '--scope', 'customers', '--sign-out', '--yes')
      // From before the command has asked to after it was answered.
      await delay(600 + round * 400)
      await at.kill()
      await asked
      await at.start()
      const begun = (await run('reset', 'list')).stdout.split('\n').length > before
      outcomes.add(begun)
      expect(await isSignedIn()).toBe(!begun)
      if (!begun) continue
      await vi.waitFor(async () => expect((await run('reset', 'list')).stdout).not.toMatch(/ void /), {
        timeout: 60_000,
        interval: 1_000,
      })
      expect((await signIn()).code).toBe(0)
    }
    expect(outcomes.size).toBeGreaterThan(0)
  })
})
