import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { type Api, createApi, createOps } from '../api/index.ts'
import {
  AppError,
  createBus,
  createCaches,
  createLog,
  type Database,
  type DatabaseOptions,
  type DeviceId,
  isAppError,
  type Log,
  migrate,
  openDatabase,
  type Secret,
  systemClock,
} from '../core/index.ts'
import { createEmbeddedPostgres } from '../embedded/index.ts'
import {
  createConnectionLog,
  createGateway,
  createReach,
  type Gateway,
  gatewayMigrations,
} from '../gateway/index.ts'
import { anchorFile, createExposures, createGuard, createReset, guardMigrations } from '../guard/index.ts'
import { createHome, homeMigrations } from '../home/index.ts'
import { createIdentity, identityMigrations } from '../identity/index.ts'
import { createInsight, insightMigrations } from '../insight/index.ts'
import {
  createKeys,
  derivePurposeSecret,
  type KeyProvider,
  keysMigrations,
  openKeyFile,
} from '../keys/index.ts'
import { createMail, mailMigrations } from '../mail/index.ts'
import { createPrivacy } from '../privacy/index.ts'
import { createRegistry, registryMigrations } from '../registry/index.ts'
import { createStream, streamMigrations } from '../stream/index.ts'
import { createVault, vaultMigrations } from '../vault/index.ts'
import { fieldCatalogue } from './catalogue.ts'
import type { Config } from './config.ts'
import { exposureParts } from './exposure-parts.ts'
import { guardLetters } from './guard-letters.ts'
import { householdLetters } from './household-letters.ts'
import { lockDataDirectory } from './instance-lock.ts'
import { type OwnDoors, ownStores } from './own-stores.ts'
import { recogniseCopy } from './recognise-copy.ts'
import { connectionsOf, touchedBy } from './reset-parts.ts'

const migrations = [
  keysMigrations,
  guardMigrations,
  vaultMigrations,
  mailMigrations,
  identityMigrations,
  registryMigrations,
  streamMigrations,
  gatewayMigrations,
  homeMigrations,
  insightMigrations,
]

export interface RunningServer {
  /** Absent without the API. */
  url: string | undefined
  opsUrl: string | undefined
  /** Absent without the gateway. */
  mqttPort: number | undefined
  plainMqttPort: number | undefined
  rootKeyCreated: boolean
  /** Present until the first operator has enrolled: a one-use code, good for an hour. */
  operatorEnrolment: Secret | undefined
  authorityPem: string
  close(): Promise<void>
}

export interface StartOptions {
  onProgress?: (what: string) => void
  log?: Log
}

type Closer = () => Promise<void> | void

/**
 * Starts every room in order and stops them in the opposite one. When a room does not start, those that did are
 * stopped before the error goes on.
 * @throws AppError start_refused, root_key_refused or database_newer, each with one sentence of what to do
 */
export async function startServer(config: Config, options: StartOptions = {}): Promise<RunningServer> {
  const log = options.log ?? createLog({ level: config.logLevel })
  const onProgress = options.onProgress ?? (() => {})
  const closers: Closer[] = []
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer; closer = closers.pop()) await closer()
  }
  try {
    return { ...(await startRooms(config, log, onProgress, closers)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function startRooms(
  config: Config,
  log: Log,
  onProgress: (what: string) => void,
  closers: Closer[],
): Promise<Omit<RunningServer, 'close'>> {
  const clock = systemClock
  const { provider, database, socketPath } = await openStores(config, log, onProgress, closers)
  const bus = createBus({ database, log })
  await bus.start()
  closers.push(() => bus.close())
  const caches = createCaches({ log })
  const keys = createKeys({ provider, database, clock, log, bus, caches })
  await keys.start()
  closers.push(() => keys.close())

  const anchor = anchorFile(join(config.dataDir, 'audit.anchor'))
  const ownDoors: OwnDoors = {}
  const guard = createGuard({
    database,
    keys,
    clock,
    log,
    anchor,
    own: ownStores({ config, doors: () => ownDoors, socketPath }),
    feeds: {
      list: () => insight.feeds.list(),
      cut: (tx, copyId, reason) => insight.feeds.cut(tx, copyId, reason),
    },
    intervals: config.guard.intervals,
    webhook: config.guard.webhook,
    mail: guardLetters({ mail: () => mail, identity: () => identity }),
    recogniseCopy: recogniseCopy(() => insight),
    canaryFile: {
      path: join(config.dataDir, 'restore.env'),
      where: () => (url ? { url, mqttPort: ownDoors.mqttPort } : undefined),
    },
  })
  const recordAct = guard.audit.record
  const presentedInVain = guard.canaries.presented
  const vault = createVault({ database, keys, clock, log })
  const mail = createMail({ database, keys, vault, clock, log, smtp: config.smtp, recordAct })
  await mail.start()
  closers.push(() => mail.close())
  let url = config.http.publicUrl ?? ''
  // The gateway is made last, for it stands on all the others; what they ask of it, they ask when devices are there.
  let gateway: Gateway | undefined
  const isHere = (id: DeviceId) => gateway?.isOnline(id) ?? false
  const reach = createReach({ bus, isHere })
  closers.push(() => reach.close())
  const registry = createRegistry({
    database,
    keys,
    clock,
    log,
    bus,
    notify: householdLetters(mail),
    recordAct,
    presentedInVain,
    decoys: guard.canaries.devices,
    caches,
    disputeWaitDays: config.disputeWaitDays,
    isOnline: reach.isOnline,
  })
  const identity = createIdentity({
    database,
    keys,
    vault,
    clock,
    log,
    bus,
    issuer: () => url,
    sendLetter: mail.enqueue,
    holds: { begin: registry.holdBack, end: registry.endHold },
    endSupport: registry.endOperator,
    recordAct,
    presentedInVain,
  })
  // A reader that is behind takes larger steps: live state then costs less a record.
  const stream = createStream({ database, keys, clock, log, limits: { readRecords: 10_000 } })
  const home = createHome({
    database,
    keys,
    registry,
    stream,
    clock,
    log,
    deliver: (command) => gateway?.deliver(command) ?? false,
    bus,
    caches,
    isHere,
    isOnline: reach.isOnline,
  })
  const connections = createConnectionLog({ database, registry, clock, log })
  const insight = createInsight({
    database,
    keys,
    registry,
    stream,
    connections,
    catalogue: once(fieldCatalogue),
    clock,
    log,
    bus,
    recordAct,
    ...config.copies,
  })
  onProgress('preparing the device authority')
  await registry.start()
  // Compiling Matter's models takes a second of this one thread: now, not when the first device connects.
  await registry.models()
  closers.push(() => registry.close())
  await stream.start()
  closers.push(() => stream.close())
  await home.start()
  closers.push(() => home.close())
  // Copies are filled by those who answer operators: a gateway has enough to do.
  if (config.role !== 'gateway') await insight.start()
  closers.push(() => insight.close())

  if (config.role !== 'api') {
    gateway = await openGateway()
    onProgress('opening the MQTT listener')
  }
  // A start that fails half-way has things to close, too.
  closers.push(() => gateway?.close())
  const ports = await opened(gateway?.start(), 'HEARTHLOCK_MQTT_PORT (and HEARTHLOCK_MQTT_PLAIN_PORT)')

  let api: Api | undefined
  const reset = createReset({
    database,
    bus,
    log,
    recordAct,
    signIns: identity.resets,
    devices: registry.resets,
    touched: touchedBy(insight),
    connections: () => connectionsOf(gateway?.stats(), api?.stats()),
  })
  const exposures = createExposures({
    database,
    keys,
    clock,
    log,
    recordAct,
    ...exposureParts({ insight, registry, vault, mail, findings: guard.findings, reset }),
  })
  const ready = async () => bus.lease.holds() && (await answers(database))
  const stats = () => ({
    ...bus.stats(),
    ...caches.stats(),
    ...registry.stats(),
    ...stream.stats(),
    ...home.stats(),
    ...gateway?.stats(),
    ...identity.stats(),
    ...mail.stats(),
    ...guard.stats(),
    ...insight.stats(),
  })
  const doors = config.role === 'gateway' ? await openOps() : await openApi()
  url ||= doors.url ?? ''
  Object.assign(ownDoors, {
    httpPort: doors.httpPort,
    opsPort: portOf(doors.opsUrl),
    mqttPort: ports?.tlsPort,
    plainMqttPort: ports?.plainPort,
  })
  await identity.start()
  await guard.start()
  closers.push(() => guard.close())
  closers.push(() => identity.close())
  await reset.start()
  closers.push(() => reset.close())
  exposures.start()
  closers.push(() => exposures.close())

  return {
    url: doors.url && url,
    opsUrl: doors.opsUrl,
    mqttPort: ports?.tlsPort,
    plainMqttPort: ports?.plainPort,
    rootKeyCreated: provider.created,
    operatorEnrolment: doors.url ? await identity.operatorEnrolment() : undefined,
    authorityPem: registry.authorityCertificate(),
  }

  async function openGateway(): Promise<Gateway> {
    const resends = keys.purpose('gateway.resend')
    const tlsIdentity = await registry.serverIdentity([...config.mqtt.hostnames])
    return createGateway({
      connections,
      presentedInVain,
      registry,
      stream,
      database,
      bus,
      caches,
      clock,
      log,
      tls: {
        host: config.mqtt.host,
        port: config.mqtt.port,
        certificatePem: tlsIdentity.certificatePem,
        privateKeyPem: tlsIdentity.privateKeyPem,
        authorityPem: registry.authorityCertificate(),
      },
      resendSecret: resends.deriveSecret('message-key'),
      // What was on its way while the root key was replaced.
      formerResendSecrets: resends.deriveSecrets('message-key').slice(1),
      ...(config.mqtt.plain ? { plain: config.mqtt.plain } : {}),
      onDeviceReady: (deviceId, tenureId) => home.deviceReady(deviceId, tenureId),
      onCommandDelivered: (commandId, deviceId, tenureId) =>
        home.commandDelivered(commandId, deviceId, tenureId),
    })
  }

  async function openApi(): Promise<Doors> {
    onProgress('opening the HTTP API')
    api = createApi({
      identity,
      vault,
      mail,
      registry,
      home,
      insight,
      privacy: createPrivacy({
        database,
        identity,
        vault,
        mail,
        registry,
        home,
        clock,
        log,
        forgetElsewhere: exposures.affected.forget,
      }),
      guard,
      exposures,
      reset,
      log,
      clock,
      bus,
      listen: config.http,
      ops: config.ops,
      publicUrl: config.http.publicUrl,
      trustedProxies: [...config.http.trustedProxies],
      ready,
      stats,
    })
    closers.push(() => api?.close())
    return opened(api.start(), 'HEARTHLOCK_HTTP_PORT (and HEARTHLOCK_OPS_PORT)')
  }

  async function openOps(): Promise<Doors> {
    const ops = createOps({ log, listen: config.ops, ready, stats })
    closers.push(() => ops.close())
    return opened(ops.start(), 'HEARTHLOCK_OPS_PORT')
  }
}

interface Doors {
  url?: string | undefined
  httpPort?: number | undefined
  opsUrl?: string | undefined
}

/** Rooms know no configuration keys: what to change is added here. */
async function opened<T>(starting: T | Promise<T>, keys: string): Promise<T> {
  try {
    return await starting
  } catch (cause) {
    if (!isAppError(cause, 'start_refused')) throw cause
    throw new AppError('start_refused', { message: `${cause.message} Free it, or set ${keys}.`, cause })
  }
}

/** The root key, the data directory's lock, PostgreSQL (embedded or the operator's own), and its migrations. */
async function openStores(
  config: Config,
  log: Log,
  onProgress: (what: string) => void,
  closers: Closer[],
): Promise<{ provider: KeyProvider; database: Database; socketPath: string | undefined }> {
  // With a database of the operator's own nothing is kept there, and several processes may share this machine.
  if (!config.databaseUrl) closers.push(await lockDataDirectory(config.dataDir))
  onProgress('reading the root key')
  const provider = await openKeyFile({
    path: config.rootKeyFile,
    dataDir: config.dataDir,
    // With data but without its key, a new key would only hide the loss. A database elsewhere knows its key itself.
    mayCreate: config.databaseUrl !== undefined || !(await holdsCluster(config.dataDir)),
  })
  const connection = await connectionOf(config, provider, log, onProgress, closers)
  const database = openDatabase({ connection, log })
  closers.push(() => database.close())
  onProgress('bringing the database up to date')
  await migrate(database, migrations, (room, file) => onProgress(`migrating ${room}: ${file}`))
  return { provider, database, socketPath: socketOf(connection) }
}

async function connectionOf(
  config: Config,
  provider: KeyProvider,
  log: Log,
  onProgress: (what: string) => void,
  closers: Closer[],
): Promise<DatabaseOptions['connection']> {
  if (config.databaseUrl) return { connectionString: config.databaseUrl.reveal() }
  const embedded = createEmbeddedPostgres({
    dataDir: config.dataDir,
    password: derivePurposeSecret(provider, 'embedded.postgres'),
    log,
    onProgress,
  })
  // Before the start: a start that is broken off must end the database it had begun.
  closers.push(() => embedded.close())
  return await embedded.start()
}

/** Of PostgreSQL behind a Unix socket, the socket's path (libpq, "host"). */
function socketOf({ host, port = 5432 }: DatabaseOptions['connection']): string | undefined {
  return host?.startsWith('/') ? join(host, `.s.PGSQL.${port}`) : undefined
}

function portOf(url: string | undefined): number | undefined {
  return url === undefined ? undefined : Number(new URL(url).port)
}

async function holdsCluster(dataDir: string): Promise<boolean> {
  return access(join(dataDir, 'postgres', 'PG_VERSION')).then(
    () => true,
    () => false,
  )
}

async function answers(database: Database): Promise<boolean> {
  return database.pool.query('select 1').then(
    () => true,
    () => false,
  )
}

/** Classifying all of Matter takes a while: when it is first asked for. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
