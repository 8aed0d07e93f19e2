import { createHash, type KeyObject } from 'node:crypto'
import type { Finding } from '../face.ts'
import type { Spent } from '../seed/shapes.ts'
import type { DumpedRow } from '../stores/dump.ts'
import { byteaOf, textsOf } from '../stores/dumped-rows.ts'
import type { Candidate } from './candidates.ts'
import { type Door, doorsOf, type LivePlace, mqttConnect, type Outcome } from './doors.ts'
import { type Forgery, forgedCertificates, forgedTokens, matchingPrivateKeys } from './forgeries.ts'
import { createHttpDoor } from './http-door.ts'

export interface CredentialAttack {
  findings: Finding[]
  tried: string[]
  notTried: string[]
  /** Door and candidate of each that was let in. */
  accepted: { door: string; candidate: string }[]
  devicesMoved: number
}

const AT_ONCE = 12
const SECRETS_TRIED = 8
const KEYS_TRIED = 4_000

/** Every candidate as every kind of credential, at every door. */
export async function replayAll(
  place: LivePlace,
  candidates: readonly Candidate[],
  onProgress: (fraction: number) => void,
): Promise<CredentialAttack> {
  const attack: CredentialAttack = { findings: [], tried: [], notTried: [], accepted: [], devicesMoved: 0 }
  const doors = await doorsOf(place)
  for (const [index, door] of doors.entries()) {
    const own = candidates.slice(0, door.tries)
    const counts = await knockAll(door, own, (candidate) => {
      attack.accepted.push({ door: door.name, candidate: candidate.text })
      attack.findings.push({
        attack: 'credentials',
        whose: 'somebody',
        what: door.name,
        how: 'replayed as it stands',
        where: candidate.from,
      })
    })
    attack.tried.push(
      `${door.name}: ${counts.refused + counts.accepted} strings judged, ${counts.accepted} accepted`,
    )
    if (own.length < candidates.length || counts.limited > 0) {
      const left = candidates.length - own.length + counts.limited
      attack.notTried.push(
        `${door.name}: ${left} of ${candidates.length} strings, for wrong ones are limited there, from wherever they come`,
      )
    }
    onProgress((index + 1) / doors.length)
  }
  attack.devicesMoved = await moveDevices(place, attack.accepted)
  return attack
}

async function knockAll(
  door: Door,
  candidates: readonly Candidate[],
  onAccepted: (candidate: Candidate) => void,
): Promise<Record<Outcome, number>> {
  const counts = { accepted: 0, refused: 0, limited: 0 }
  let next = 0
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let candidate = candidates[next++]; candidate; candidate = candidates[next++]) {
        const outcome = await door.knock(candidate.text).catch((): Outcome => 'limited')
        counts[outcome] += 1
        if (outcome === 'accepted') onAccepted(candidate)
      }
    }),
  )
  return counts
}

/** Whoever is let in by a token tries to move something with it. */
async function moveDevices(place: LivePlace, accepted: CredentialAttack['accepted']): Promise<number> {
  const ask = createHttpDoor(place.url)
  let moved = 0
  const tokens = accepted.filter(({ door }) => door === 'HTTP bearer token')
  for (const [index, { candidate }] of tokens.entries()) {
    const { status } = await ask({
      method: 'POST',
      path: `/v1/devices/${place.deviceIds[index % place.deviceIds.length]}/commands`,
      headers: { authorization: `Bearer ${candidate}` },
      body: { command: 'DoorLock.UnlockDoor' },
    })
    if (status >= 200 && status < 300) moved += 1
  }
  return moved
}

/** What was good once: a session that ended, a code that was used, a token that was renewed. */
export async function replaySpent(place: LivePlace, spent: readonly Spent[]): Promise<CredentialAttack> {
  const attack: CredentialAttack = { findings: [], tried: [], notTried: [], accepted: [], devicesMoved: 0 }
  const doors = await doorsOf(place)
  const doorFor: Partial<Record<Spent['kind'], string[]>> = {
    'access token': ['HTTP bearer token', 'HTTP token with the attacker’s own proof'],
    'refresh token': ['refresh token'],
    invitation: ['invitation'],
    'mailed code': ['recovery code'],
  }
  for (const { kind, what, value } of spent) {
    for (const name of doorFor[kind] ?? []) {
      const outcome = await doors.find((door) => door.name === name)?.knock(value.reveal())
      if (outcome !== 'accepted') continue
      attack.accepted.push({ door: name, candidate: value.reveal() })
      attack.findings.push({
        attack: 'old copies',
        whose: 'somebody',
        what,
        how: `accepted as ${name}`,
        where: 'the live door',
      })
    }
  }
  attack.tried.push(
    `${spent.length} credentials that were good once: sessions that ended, tokens that were renewed, codes that were used`,
  )
  return attack
}

/** Tokens and certificates made of what the copy shows, and private halves for the public keys in it. */
export async function forgeAll(o: {
  place: LivePlace
  rows: readonly DumpedRow[]
  privateKeys: readonly KeyObject[]
  authorityName: string
  nowMs: number
}): Promise<CredentialAttack> {
  const { place, rows } = o
  const attack: CredentialAttack = { findings: [], tried: [], notTried: [], accepted: [], devicesMoved: 0 }
  const bytes = bytesIn(rows)
  const publicKeys = bytes.filter(isSpki)
  const secrets = bytes.filter(({ length }) => length === 32)
  let forgeries: Forgery[] = []
  for (const deviceId of place.deviceIds.slice(0, 3)) {
    const own = {
      deviceId,
      publicKeys: publicKeys.slice(0, 3),
      privateKeys: o.privateKeys,
      secrets: secrets.slice(0, SECRETS_TRIED),
      nowMs: o.nowMs,
    }
    // Wrong tokens of one device are limited; certificates are not.
    forgeries = [
      ...forgeries,
      ...forgedTokens(own).slice(0, 9),
      ...(await forgedCertificates(deviceId, o.authorityName, o.nowMs)),
    ]
  }
  const counts = { accepted: 0, refused: 0, limited: 0 }
  for (const [index, { what, deviceId, password, certificatePem, privateKeyPem }] of forgeries.entries()) {
    const credential =
      password === undefined
        ? { cert: certificatePem ?? '', key: privateKeyPem ?? '' }
        : { username: deviceId, password }
    const outcome = await mqttConnect(place, { clientId: deviceId, ...credential }, 0x8000 + index)
    counts[outcome] += 1
    if (outcome !== 'accepted') continue
    attack.accepted.push({ door: 'MQTT', candidate: what })
    attack.findings.push({
      attack: 'forgeries',
      whose: 'a device',
      what,
      how: 'accepted by the MQTT door',
      where: 'the copy',
    })
  }
  const scalars = [
    ...secrets,
    ...bytes
      .filter(({ length }) => length > 32)
      .flatMap((each) => [each.subarray(0, 32), each.subarray(-32)]),
  ]
  const tried = scalars.slice(0, KEYS_TRIED)
  const matching = matchingPrivateKeys(tried, publicKeys)
  if (matching > 0) {
    attack.findings.push({
      attack: 'forgeries',
      whose: 'a device',
      what: `${matching} private keys`,
      how: 'halves of public keys in the copy',
      where: 'the copy',
    })
  }
  attack.tried.push(
    `${counts.refused + counts.accepted} forged tokens and certificates at the MQTT door, ${counts.accepted} accepted`,
    `${tried.length} values of 32 bytes as the private halves of ${publicKeys.length} public keys`,
  )
  if (counts.limited > 0)
    attack.notTried.push(`${counts.limited} forgeries, for wrong ones of one device are limited`)
  return attack
}

function bytesIn(rows: readonly DumpedRow[]): Buffer[] {
  const found = new Map<string, Buffer>()
  for (const row of rows) {
    for (const { text } of textsOf(row)) {
      const bytes = byteaOf(text)
      if (bytes && bytes.length >= 32) found.set(createHash('md5').update(bytes).digest('hex'), bytes)
    }
  }
  return [...found.values()]
}

/** SubjectPublicKeyInfo of P-256 and of Ed25519. */
function isSpki(bytes: Buffer): boolean {
  return (bytes.length === 91 && bytes[0] === 0x30) || (bytes.length === 44 && bytes[0] === 0x30)
}
