import { expect, test } from 'vitest'
import { idToBytes, isId } from '../../src/core/index.ts'
import { createRecordIds } from '../../src/stream/record-id.ts'

test('record ids are random UUIDs of version 4, the same in both forms, and stay as they were handed out', () => {
  const next = createRecordIds()
  const ids = Array.from({ length: 2_000 }, next)
  for (const { recordId, bytes } of ids) {
    expect(isId(recordId)).toBe(true)
    expect(recordId).toMatch(/^.{14}4.{4}[89ab]/)
    expect(idToBytes(recordId)).toEqual(bytes)
  }
  expect(new Set(ids.map(({ recordId }) => recordId)).size).toBe(ids.length)
})
