import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '../core/index.ts'
import { attackBySearch } from './attack/search-attack.ts'
import { plantStore } from './control/planted-store.ts'
import type { AttackReport, DrillReport, Finding, Target } from './face.ts'
import type { Known } from './known.ts'
import type { Seeded } from './seed/seed.ts'
import { bruteForceStep, credentialSteps, joinStep } from './steps.ts'
import { writeDumps } from './stores/dump.ts'
import { readDumps } from './stores/dumped-rows.ts'
import { type FoundStores, findStores } from './stores/find-stores.ts'

export interface DrillOptions {
  where: string
  target: Target
  seeded: Seeded
  doors: { url: string; mqttUrl: string }
  /** How many strings of the copy are tried at each door. */
  tries: number
  /** What the attacker holds beyond the marked households. */
  alsoKnown: readonly Known[]
  /** What a start prints for the person who started it; see docs/threat-model.md. */
  printedForPerson: readonly Secret[]
  /** Where the drill may write. */
  workFolder: string
  nowMs: () => number
  onProgress: (what: string, fraction?: number) => void
}

/** Of each table, for what is tried row by row; everything is searched. */
const ROWS_OF_EACH = 2_000

export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  const { target, seeded, onProgress } = options
  const beganMs = options.nowMs()
  const work = await mkdtemp(join(options.workFolder, 'drill-'))
  try {
    onProgress('finding the stores')
    const found = await findStores(target)
    onProgress('reading the tables')
    const copy = await takeCopy(options, found, work)
    const known = [...seeded.known, ...options.alsoKnown]

    const searched = await attackBySearch({
      known,
      files: copy.files,
      name: (path) => copy.nameOf.get(path) ?? path,
      onProgress: (done, of) => onProgress('searching', done / Math.max(1, of)),
    })
    onProgress('breaking the planted store')
    const controlFolder = join(work, 'planted')
    await mkdir(controlFolder, { mode: 0o700 })
    const planted = await plantStore(controlFolder)
    const broken = await attackBySearch({
      known: planted.known,
      files: planted.files,
      name: (path) => path,
      onProgress: () => {},
    })
    const missed = planted.known.filter((each) => !broken.found.some((hit) => hit.known === each))
    const attacks = searchReports(searched, planted.known, missed, known.length)
    const rows = await readDumps(copy.dumps, ROWS_OF_EACH)
    attacks.push(
      await bruteForceStep(rows, known, planted, (done) => onProgress('trying what is small', done)),
    )
    const { visible, ...joined } = joinStep(rows, target, planted)
    const credentials = await credentialSteps({
      ...options.doors,
      seeded,
      rows,
      printed: copy.printed,
      privateKeys: searched.privateKeys,
      planted,
      tries: options.tries,
      nowMs: options.nowMs,
      onProgress: (done) => onProgress('trying every string at every door', done),
    })
    attacks.push(joined, ...credentials.attacks, storesReport(found))
    onProgress('starting a stolen copy')
    attacks.push(await stolenCopyStep(target))

    const namedPlanted = new Set(broken.found.map(({ known: { whose } }) => whose))
    const failures = [
      ...attacks.flatMap(({ name, control }) =>
        control.missed.map((what) => `${name}: the planted store kept ${what}`),
      ),
      ...(copy.rows === 0 ? ['no row of the database could be read'] : []),
    ]
    const findings = attacks.flatMap((attack) => attack.findings)
    const named = new Set(findings.filter(namesSomebody).map(({ whose }) => whose))
    const undeclared = found.stores.filter(({ declared }) => !declared)
    return {
      format: 1,
      startedAt: new Date(beganMs).toISOString(),
      tookSeconds: (options.nowMs() - beganMs) / 1_000,
      where: options.where,
      verdict: failures.length > 0 ? 'not proved' : findings.length > 0 ? 'not hollow' : 'hollow',
      failures,
      peopleNamed: named.size,
      credentialsAccepted: credentials.accepted,
      devicesMoved: credentials.devicesMoved,
      undeclaredStores: undeclared.length,
      seeded: { households: seeded.households.length, devices: seeded.devices.length, events: seeded.events },
      stores: await Promise.all(
        found.stores.map(async ({ files, ...store }) => ({
          ...store,
          files: files.length,
          bytes: await bytesOf(files),
        })),
      ),
      search: {
        bytes: searched.bytes,
        unpackedBytes: searched.unpackedBytes,
        patterns: searched.patterns,
        seconds: searched.tookMs / 1_000,
        megabytesPerSecond: searched.bytes / 1_000 / Math.max(1, searched.tookMs),
      },
      attacks,
      visible,
      control: {
        peopleNamed: namedPlanted.size,
        credentialsAccepted: credentials.control.accepted,
        devicesMoved: credentials.control.devicesMoved,
        of: {
          people: new Set(planted.known.map(({ whose }) => whose)).size,
          credentials: credentials.control.of,
          devices: credentials.control.ofDevices,
        },
      },
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

interface Copy {
  files: string[]
  /** How files of the drill's own making are called in the report. */
  nameOf: Map<string, string>
  rows: number
  dumps: string[]
  printed: string
}

/** The bytes where they lie, and beside them what statements and the terminal show. */
async function takeCopy(
  { target, printedForPerson }: DrillOptions,
  found: FoundStores,
  work: string,
): Promise<Copy> {
  const folder = join(work, 'dumps')
  await mkdir(folder, { mode: 0o700 })
  const { files, rows } = await writeDumps(target.dump, folder)
  const nameOf = new Map(
    files.map((path) => [path, `table ${path.slice(folder.length + 1, -'.ndjson'.length)}`]),
  )
  const copied = [...found.stores.flatMap((store) => store.files), ...files]
  const printed = printedForPerson.reduce(
    (kept, secret) => kept.replaceAll(secret.reveal(), ''),
    target.printed?.() ?? '',
  )
  const path = join(work, 'printed')
  await writeFile(path, printed, { mode: 0o600 })
  nameOf.set(path, 'what it printed')
  return { files: [...new Set([...copied, path])], nameOf, rows, dumps: files, printed }
}

function searchReports(
  searched: Awaited<ReturnType<typeof attackBySearch>>,
  planted: readonly Known[],
  missed: readonly Known[],
  knownCount: number,
): AttackReport[] {
  const isHash = ({ whose }: Known) => /, (raw|hex|base64|its first eight bytes)$/.test(whose)
  const control = (hashes: boolean) => ({
    planted: planted.filter((each) => isHash(each) === hashes).length,
    missed: missed.filter((each) => isHash(each) === hashes).map(({ kind, whose }) => `${kind}, ${whose}`),
  })
  const of = (name: string) => searched.findings.filter(({ attack }) => attack === name)
  return [
    {
      name: 'search',
      tried: [
        `${knownCount} known values in every encoding, in ${searched.bytes} bytes and ${searched.unpackedBytes} more that were packed in them`,
        'private keys, as they are and encoded',
      ],
      notTried: searched.skipped,
      findings: of('search'),
      control: control(false),
    },
    {
      name: 'unkeyed hashes',
      tried: [
        `every unkeyed hash in common use of ${knownCount} known values, whole and cut: ${searched.patterns} patterns in all`,
      ],
      notTried: [],
      findings: of('unkeyed hashes'),
      control: control(true),
    },
  ]
}

/** A copy of the bytes, in the hands of somebody who has all of the software and not the root key. */
async function stolenCopyStep({ startStolenCopy }: Target): Promise<AttackReport> {
  const report: AttackReport = {
    name: 'stolen copy, started',
    tried: [],
    notTried: [],
    findings: [],
    control: { planted: 0, missed: [] },
  }
  const outcome = await startStolenCopy?.()
  if (outcome === undefined) report.notTried.push('a copy of this installation is not started beside it')
  if (outcome === 'unclear')
    report.notTried.push('the copy did not start, for another reason than its root key')
  if (outcome === 'refused')
    report.tried.push('a copy of the data, with a root key of the thief’s own: its start is refused')
  if (outcome === 'started') {
    const how = 'started with a root key of the thief’s own'
    report.findings.push({
      attack: report.name,
      whose: 'everybody',
      what: 'installation',
      how,
      where: 'the copy',
    })
  }
  return report
}

/** A store that nobody declared is one that nobody watches. */
function storesReport({ stores, processes, blind }: FoundStores): AttackReport {
  return {
    name: 'stores',
    tried: [`files, shared memory and connections of ${processes} processes, and what crashes leave behind`],
    notTried: blind,
    findings: stores
      .filter(({ declared }) => !declared)
      .map(({ name, found }) => ({
        attack: 'stores',
        whose: 'nobody yet',
        what: 'undeclared store',
        how: found,
        where: name,
      })),
    control: { planted: 0, missed: [] },
  }
}

/** The attacks by which somebody is named; the others open or move something. */
const NAMING = ['search', 'unkeyed hashes', 'brute force', 'joins']

function namesSomebody({ attack, what }: Finding): boolean {
  return NAMING.includes(attack) && what !== 'credential' && !what.startsWith('private key')
}

async function bytesOf(files: readonly string[]): Promise<number> {
  let bytes = 0
  for (const path of files)
    bytes += await stat(path).then(
      ({ size }) => size,
      () => 0,
    )
  return bytes
}
