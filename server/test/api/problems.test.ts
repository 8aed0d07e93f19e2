import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { statusOfCode } from '../../src/api/index.ts'
import { problemOf } from '../../src/api/problems.ts'
import { AppError, type ErrorCode, errorCatalogue } from '../../src/core/index.ts'

const codes = Object.keys(errorCatalogue) as ErrorCode[]

describe('problems', () => {
  it.each(codes)('%s has a status of its own choice', (code) => {
    expect(statusOfCode[code]).toBeGreaterThanOrEqual(400)
    expect(statusOfCode[code]).toBeLessThan(600)
  })

  it('docs/errors.md lists every code with its status and sentence, and no other', async () => {
    const text = await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
    const rows = [...text.matchAll(/^\| `([a-z_]+)` \| (\d{3}) \| (.+?) \|/gm)]
    const documented = rows.map(([, code, status, sentence]) => ({ code, status: Number(status), sentence }))
    const known = codes.map((code) => ({ code, status: statusOfCode[code], sentence: errorCatalogue[code] }))
    expect(documented.sort(byCode)).toEqual(known.sort(byCode))
  })

  it('an ended tenure looks like a device that never was', () => {
    const ended = problemOf(new AppError('stale_tenure', { message: 'it was yours' }))
    expect(ended).toEqual(problemOf(new AppError('not_found')))
  })

  it('the private detail and the cause stay inside', () => {
    const error = new AppError('conflict', { detail: 'private', cause: new Error('private') })
    expect(JSON.stringify(problemOf(error))).not.toContain('private')
  })
})

function byCode(a: { code: string | undefined }, b: { code: string | undefined }): number {
  return String(a.code).localeCompare(String(b.code))
}
