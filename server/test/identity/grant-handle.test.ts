import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { grantHandle } from '../../src/identity/artifacts.ts'

it("a session's name can be typed as an argument: no command takes it for an option", () => {
  for (let grants = 0; grants < 500; grants += 1) {
    expect(grantHandle(randomBytes(32).toString('base64url'))).toMatch(/^[0-9a-f]{24}$/)
  }
})
