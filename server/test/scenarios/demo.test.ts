import { afterAll, describe, expect, it, vi } from 'vitest'
import { createInstallation, type Installation } from '../support/installation.ts'

describe('start --demo', () => {
  let at: Installation

  afterAll(() => at?.dispose())

  it('shows a household with a camera, a lock, a bulb and a plug that behave and obey', {
    timeout: 120_000,
  }, async () => {
    at = await createInstallation()
    await at.start('--demo')
    const password = /password: ([^)]+)\)/.exec(at.output())?.[1] ?? ''
    expect((await at.cli(['sign-in', '--email', 'demo@example.org'], { input: password })).code).toBe(0)
    const { stdout } = await at.cli(['devices'])
    for (const model of ['hearth-cam', 'hearth-lock', 'hearth-bulb', 'hearth-plug']) {
      expect(stdout).toMatch(new RegExp(`${model} +yes`))
    }
    expect((await at.cli(['unlock', 'Front door'])).stdout).toContain('done')
    expect((await at.cli(['dim', 'Reading lamp', '40'])).stdout).toContain('done')
    expect((await at.cli(['off', 'Kettle'])).stdout).toContain('done')
    await vi.waitFor(
      async () => expect((await at.cli(['devices'])).stdout).toMatch(/Kettle.*OnOff\.OnOff=false/),
      { timeout: 20_000 },
    )
    // Something happens by itself.
    const before = (await at.cli(['timeline', 'Hallway'])).stdout
    await vi.waitFor(async () => expect((await at.cli(['timeline', 'Hallway'])).stdout).not.toBe(before), {
      timeout: 60_000,
    })
  })

  it('goes on with the same household after a restart', { timeout: 120_000 }, async () => {
    expect(await at.stop()).toBe(0)
    await at.start('--demo')
    const { stdout } = await at.cli(['devices'])
    expect(stdout.match(/hearth-lock/g)).toHaveLength(1)
    expect(stdout).toMatch(/Front door +hearth-lock +yes/)
    expect(await at.stop()).toBe(0)
  })
})
