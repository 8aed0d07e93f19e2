import { type AccountId, AppError, type CopyId, Personal, Secret } from '../core/index.ts'
import { type PurposeKey, place } from '../keys/index.ts'
import type { Catalogue } from './catalogue.ts'
import { type Address, parseDestination } from './destinations/address.ts'
import type { Grain, NewCopy } from './face.ts'
import { DAY_MS, HOUR_MS } from './observation.ts'
import { newRecognition } from './pseudonyms.ts'

/** What a copy is and where it goes. At rest it is sealed: a purpose is free text, and there is a credential in it. */
export interface Terms {
  owner: AccountId
  purpose: Personal
  fields: readonly string[]
  grain: Grain
  minGroup: number
  destination: Address
  /** Gone once the copy is burned. */
  password: Secret | undefined
  authorityPem: string | undefined
  /** Tells this copy's pseudonyms from anything else; kept when it is burned. */
  recognition: Secret | undefined
  createdAtMs: number
  expiresAtMs: number
  reason: string | undefined
}

const NAME = /^[a-z][a-z0-9-]{1,39}$/
const MAX_FIELDS = 100
/** Seals tell the length of what they hold: in steps of this. */
const STEP_BYTES = 1024

/** @throws AppError copy_refused, invalid_request, each with what to change */
export function termsOf(wish: NewCopy, o: { catalogue: Catalogue; maxDays: number; nowMs: number }): Terms {
  if (!NAME.test(wish.name))
    throw invalid('A name has 2 to 40 characters of a-z, 0-9 and -, and begins with a letter.')
  if (wish.purpose.reveal().trim() === '') throw invalid('Say what the copy is for: --purpose.')
  if (wish.fields.length === 0) throw invalid('Name at least one field: --fields.')
  if (wish.fields.length > MAX_FIELDS) throw invalid(`A copy has at most ${MAX_FIELDS} fields.`)
  for (const field of wish.fields) refuseField(field, o.catalogue)
  if (!(wish.expiresSeconds * 1000 >= HOUR_MS)) throw invalid('A copy lives for an hour at least.')
  if (wish.expiresSeconds * 1000 > o.maxDays * DAY_MS) {
    throw new AppError('copy_refused', {
      message: `A copy lives for ${o.maxDays} days at most here. Make another one later.`,
    })
  }
  if (!Number.isInteger(wish.minGroup) || wish.minGroup < 1 || wish.minGroup > 10_000)
    throw invalid('The smallest group is a number from 1 to 10000.')
  const destination = parseDestination(wish.to)
  if (destination.kind !== 'file' && !wish.password)
    throw invalid('A destination on the network needs a password.')
  return {
    owner: wish.owner,
    purpose: wish.purpose,
    fields: [...new Set(wish.fields)].sort(),
    grain: wish.grain,
    minGroup: wish.minGroup,
    destination,
    password: wish.password,
    authorityPem: wish.authorityPem,
    recognition: newRecognition(),
    createdAtMs: o.nowMs,
    expiresAtMs: o.nowMs + wish.expiresSeconds * 1000,
    reason: undefined,
  }
}

/** @throws AppError copy_refused */
function refuseField(field: string, catalogue: Catalogue): void {
  const entry = catalogue.get(field)
  // What was sent is repeated only when it is a name of ours.
  if (!entry)
    throw new AppError('copy_refused', {
      message: 'A field is not in the catalogue. List those that are: npx hearthlock catalogue --copyable',
    })
  if (entry.copyable) return
  const why =
    entry.class === 'metric' || entry.class === 'public'
      ? 'it is no number, choice or fact by itself'
      : `it is ${entry.class}`
  throw new AppError('copy_refused', { message: `${field} never leaves: ${why}.` })
}

export function sealTerms(key: PurposeKey, copyId: CopyId, terms: Terms): Buffer {
  const text = JSON.stringify({
    ...terms,
    purpose: terms.purpose.reveal(),
    password: terms.password?.reveal(),
    recognition: terms.recognition?.reveal(),
  })
  const bytes = Buffer.byteLength(text)
  return key.seal(placeOf(copyId), text + ' '.repeat((STEP_BYTES - (bytes % STEP_BYTES)) % STEP_BYTES))
}

/** @throws AppError integrity_failed when they are another copy's */
export function openTerms(key: PurposeKey, copyId: CopyId, sealed: Buffer): Terms {
  const terms = JSON.parse(key.unseal(placeOf(copyId), sealed).toString('utf8'))
  return {
    ...terms,
    purpose: new Personal(terms.purpose),
    password: terms.password === undefined ? undefined : new Secret(terms.password),
    recognition: terms.recognition === undefined ? undefined : new Secret(terms.recognition),
  }
}

function placeOf(copyId: CopyId): string {
  return place('insight.copy', copyId)
}

function invalid(message: string): AppError {
  return new AppError('invalid_request', { message })
}
