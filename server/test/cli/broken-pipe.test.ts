import { Readable, Writable } from 'node:stream'
import { expect, it } from 'vitest'
import { runCli } from '../../src/cli/index.ts'

it('who stops reading (a pipe into head) does not make a command fail', async () => {
  const broken = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    },
  })
  let said = ''
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      said += chunk
      done()
    },
  })
  expect(await runCli(['--help'], { stdin: Readable.from([]), stdout: broken, stderr }, {})).toBe(0)
  expect(said).toBe('')
})
