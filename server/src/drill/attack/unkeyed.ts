import { type Known, rawBytes, type Sought, writingsOf } from '../known.ts'
import { distinct, type Pattern } from '../search/encodings.ts'
import {
  cryptographicHashes,
  namedUuids,
  narrowHashes,
  type UnkeyedHash,
  wideHashes,
} from './unkeyed-hashes.ts'

/** Hashes are also kept cut. What is shorter stands somewhere by chance. */
const CUT_BYTES = 8

/** Every unkeyed hash of every known value, as it would stand in bytes or in text. */
export function soughtHashes(known: readonly Known[]): Sought[] {
  return known.flatMap((each) => {
    const patterns = inputsOf(each).flatMap(({ how, data }) => hashPatterns(how, data))
    return distinct(patterns).map((pattern) => ({ ...pattern, known: each }))
  })
}

interface Input {
  how: string
  data: Buffer
}

/** What programs feed to a hash: the value as it is written, in one case, or with what an editor or `echo` leaves behind it. */
export function inputsOf(known: Known): Input[] {
  const texts = writingsOf(known).flatMap((text) => [text, text.toLowerCase(), text.toUpperCase()])
  const inputs = [...new Set(texts)].flatMap((text) => [
    { how: '', data: Buffer.from(text) },
    { how: ' with a line feed', data: Buffer.from(`${text}\n`) },
  ])
  const raw = rawBytes(known)
  return raw ? [...inputs, { how: ' of the raw bytes', data: raw }] : inputs
}

function hashPatterns(how: string, data: Buffer): Pattern[] {
  const once = [...cryptographicHashes, ...wideHashes].flatMap((hash) =>
    digestPatterns(`${hash.name}${how}`, hash.of(data)),
  )
  const twice = cryptographicHashes.flatMap((hash) => {
    const digest = hash.of(data)
    return [
      ...digestPatterns(`${hash.name}, twice${how}`, hash.of(digest)),
      ...digestPatterns(`${hash.name} of its hex${how}`, hash.of(Buffer.from(digest.toString('hex')))),
    ]
  })
  const uuids = namedUuids(data).flatMap(({ name, bytes }) => {
    const hex = bytes.toString('hex')
    return [
      { encoding: name, bytes, ignoreCase: false },
      { encoding: name, bytes: Buffer.from(hex), ignoreCase: true },
      {
        encoding: name,
        bytes: Buffer.from(hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')),
        ignoreCase: true,
      },
    ]
  })
  return [...once, ...twice, ...uuids]
}

/** Raw, hex and base64, each by its first bytes: so a hash that was cut is found as well as a whole one. */
function digestPatterns(name: string, digest: Buffer): Pattern[] {
  const cut = digest.subarray(0, CUT_BYTES)
  const hex = cut.toString('hex')
  const own = (text: string): Pattern => ({
    encoding: `${name}, base64`,
    bytes: Buffer.from(text),
    ignoreCase: false,
  })
  const base64 = cut.toString('base64').slice(0, 10)
  return [
    { encoding: name, bytes: cut, ignoreCase: false },
    { encoding: `${name}, turned round`, bytes: Buffer.from(cut).reverse(), ignoreCase: false },
    { encoding: `${name}, hex`, bytes: Buffer.from(hex), ignoreCase: true },
    // As a UUID is written.
    {
      encoding: `${name}, hex`,
      bytes: Buffer.from(hex.replace(/^(.{8})(.{4})/, '$1-$2-')),
      ignoreCase: true,
    },
    own(base64),
    ...(/[+/]/.test(base64) ? [own(base64.replaceAll('+', '-').replaceAll('/', '_'))] : []),
  ]
}

/** Hashes of four bytes, by each of the ways in which a whole field may show them. */
export function narrowFields(known: readonly Known[]): Map<string, { known: Known; how: string }> {
  const fields = new Map<string, { known: Known; how: string }>()
  for (const each of known) {
    for (const { how, data } of inputsOf(each)) {
      for (const hash of narrowHashes) {
        for (const field of narrowWritings(hash, data))
          fields.set(field, { known: each, how: `${hash.name}${how}` })
      }
    }
  }
  return fields
}

function narrowWritings(hash: UnkeyedHash, data: Buffer): string[] {
  const digest = hash.of(data)
  const value = digest.readUInt32BE(0)
  // A small number is a count or a size, whatever it would be the hash of.
  if (value < 0x10000) return []
  return [String(value), String(value | 0), digest.toString('hex'), `\\x${digest.toString('hex')}`]
}
