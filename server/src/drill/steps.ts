import { type KeyObject, X509Certificate } from 'node:crypto'
import { isClientError } from '../client/index.ts'
import { attackRows } from './attack/brute-force.ts'
import { candidatesOf } from './attack/candidates.ts'
import { type CredentialAttack, forgeAll, replayAll, replaySpent } from './attack/credentials.ts'
import { doorsOf, type LivePlace, mqttConnect } from './attack/doors.ts'
import { type Asked, createHttpDoor } from './attack/http-door.ts'
import { attackByJoining } from './attack/joins.ts'
import type { PlantedStore } from './control/planted-store.ts'
import { startPlantedTarget } from './control/planted-target.ts'
import type { AttackReport, Target } from './face.ts'
import type { Known } from './known.ts'
import type { Seeded } from './seed/seed.ts'
import type { DumpedRow } from './stores/dump.ts'

type Progress = (fraction: number) => void

/** Guessing through what is small; the planted rows are guessed in the same way. */
export async function bruteForceStep(
  rows: readonly DumpedRow[],
  known: readonly Known[],
  planted: PlantedStore,
  onProgress: Progress,
): Promise<AttackReport> {
  const { findings, tried } = await attackRows(rows, known, (fraction) => onProgress(fraction / 2))
  const broken = await attackRows(planted.rows, planted.known, (fraction) => onProgress((1 + fraction) / 2))
  const wanted = ['code', 'address', 'neighbour', 'salt', 'mac', 'checksum'].map((name) => `planted ${name}`)
  const missed = wanted.filter((table) => !broken.findings.some(({ where }) => where.startsWith(`${table}.`)))
  return { name: 'brute force', tried, notTried: [], findings, control: { planted: wanted.length, missed } }
}

export function joinStep(
  rows: readonly DumpedRow[],
  { exactTimes }: Target,
  planted: PlantedStore,
): AttackReport & { visible: string[] } {
  const { findings, tried, visible } = attackByJoining(rows, exactTimes)
  const broken = attackByJoining(planted.rows, exactTimes).findings.some(({ where }) =>
    where.startsWith('planted times.'),
  )
  const control = { planted: 1, missed: broken ? [] : ['exact times of sign-ins'] }
  return { name: 'joins', tried, notTried: [], findings, control, visible }
}

export interface CredentialSteps {
  attacks: AttackReport[]
  accepted: number
  devicesMoved: number
  control: { accepted: number; of: number; devicesMoved: number; ofDevices: number }
}

/** Replays and forgeries, at the live doors and at those of the planted target, by the same code. */
export async function credentialSteps(o: {
  url: string
  mqttUrl: string
  seeded: Seeded
  rows: readonly DumpedRow[]
  printed: string
  privateKeys: readonly KeyObject[]
  planted: PlantedStore
  tries: number
  nowMs: () => number
  onProgress: Progress
}): Promise<CredentialSteps> {
  const { seeded } = o
  const place: LivePlace = {
    url: o.url,
    mqttUrl: o.mqttUrl,
    authorityPem: seeded.authorityPem,
    deviceIds: seeded.devices.map(({ deviceId }) => deviceId),
    email: seeded.households[0]?.email.reveal() ?? '',
    signedIn: (asked) => askAs(seeded, asked),
  }
  // What was good once goes first: its doors are not yet shut by limits.
  const spent = await replaySpent(place, seeded.spent)
  const replayed = await replayAll(place, candidatesOf(o.rows, o.printed, o.tries), (fraction) =>
    o.onProgress(fraction * 0.8),
  )
  const authorityName = new X509Certificate(seeded.authorityPem).subject.replaceAll('\n', ', ')
  const forged = await forgeAll({
    place,
    rows: o.rows,
    privateKeys: o.privateKeys,
    authorityName,
    nowMs: o.nowMs(),
  })
  const opened = await doorsOpen(place, seeded)
  const broken = await breakPlanted(o.planted)
  o.onProgress(1)
  const all = [spent, replayed, forged]
  return {
    attacks: [
      {
        ...reportOf('credentials', replayed),
        control: { planted: broken.of, missed: [...broken.missed, ...opened] },
      },
      { ...reportOf('forgeries', forged), control: { planted: 0, missed: [] } },
      { ...reportOf('old copies', spent), control: { planted: 0, missed: [] } },
    ],
    accepted: all.reduce((sum, { accepted }) => sum + accepted.length, 0),
    devicesMoved: all.reduce((sum, { devicesMoved }) => sum + devicesMoved, 0),
    control: broken,
  }
}

function reportOf(
  name: string,
  { findings, tried, notTried }: CredentialAttack,
): Omit<AttackReport, 'control'> {
  return { name, findings, tried, notTried }
}

async function askAs({ attacker }: Seeded, { method, path, body }: Asked) {
  try {
    await attacker.request(method, path, { body })
    return { status: 200, headers: {} }
  } catch (error) {
    if (isClientError(error)) return { status: error.status, headers: {} }
    throw error
  }
}

/** A door that lets in nobody would refuse a thief as well: who has the right thing must get in. */
async function doorsOpen(place: LivePlace, seeded: Seeded): Promise<string[]> {
  const missed: string[] = []
  const owner = seeded.owners[0]?.client
  await owner
    ?.request('GET', '/v1/me')
    .catch(() => missed.push('the HTTP door, with the right token and key'))
  for (const device of seeded.devices.slice(-1)) {
    const { certificatePem, privateKeyPem } = device.credential
    const outcome = await mqttConnect(
      place,
      { clientId: device.deviceId, cert: certificatePem, key: privateKeyPem.reveal() },
      0xffff,
    )
    if (outcome !== 'accepted') missed.push('the MQTT door, with the right certificate')
  }
  return missed
}

async function breakPlanted({ rows, tokens, households }: PlantedStore) {
  const target = await startPlantedTarget(tokens)
  try {
    const place: LivePlace = {
      url: target.url,
      mqttUrl: target.mqttUrl,
      authorityPem: undefined,
      deviceIds: ['planted-device'],
      email: households[0]?.email.reveal() ?? '',
      signedIn: createHttpDoor(target.url),
      isPlanted: true,
    }
    const { accepted, doors } = await replayPlanted(place, rows)
    const wanted = doors.flatMap((door) => tokens.map((token) => ({ door, token: token.reveal() })))
    const missing = wanted.filter(
      ({ door, token }) => !accepted.some((each) => each.door === door && each.candidate === token),
    )
    const moved = target.devicesMoved()
    return {
      of: wanted.length,
      accepted: wanted.length - missing.length,
      devicesMoved: moved,
      ofDevices: tokens.length,
      missed: [
        ...missing.map(({ door }) => `a token as ${door}`),
        ...(moved < tokens.length ? ['devices that a token moves'] : []),
      ],
    }
  } finally {
    await target.close()
  }
}

async function replayPlanted(place: LivePlace, rows: readonly DumpedRow[]) {
  const doors = (await doorsOf(place)).map(({ name }) => name)
  const { accepted } = await replayAll(place, candidatesOf(rows, '', 200), () => {})
  return { accepted, doors }
}
