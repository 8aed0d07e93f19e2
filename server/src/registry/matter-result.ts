import { isId } from '../core/index.ts'
import type { CheckedResult } from './face.ts'
import { clip, isObject, shownName } from './matter-checker.ts'
import { refuse } from './matter-payload.ts'

const MAX_DEPTH = 8
const MAX_VALUES = 512

/** `{"id":…,"status":"SUCCESS","response":{…}?}` on the results topic. */
export function checkResult(statusNames: ReadonlySet<string>, payload: unknown): CheckedResult {
  if (!isObject(payload)) return refuse('expected a JSON object with id, status and perhaps response')
  const { id, status, response, ...others } = payload
  const other = Object.keys(others)[0]
  if (other !== undefined)
    return refuse(`there is no member ${shownName(other)}; the members are id, status, response`)
  if (typeof id !== 'string' || !isId(id)) return refuse('id: expected the id of the command, as it came')
  if (typeof status !== 'string' || !statusNames.has(status)) {
    return refuse(`status: expected one of ${clip([...statusNames].join(', '))}`)
  }
  if (response !== undefined) {
    if (!isObject(response)) return refuse('response: expected an object of Matter field names')
    if (countValues(response, MAX_DEPTH, MAX_VALUES) < 0) {
      return refuse(`response: expected at most ${MAX_VALUES} values, nested at most ${MAX_DEPTH} deep`)
    }
  }
  return { ok: true, paths: [], commandId: id, status }
}

/** What is left of `budget` after counting every value, or a negative number. */
function countValues(value: unknown, depth: number, budget: number): number {
  let left = budget - 1
  if (typeof value !== 'object' || value === null) return left
  if (depth === 0) return -1
  for (const each of Object.values(value)) {
    if (left < 0) return left
    left = countValues(each, depth - 1, left)
  }
  return left
}
