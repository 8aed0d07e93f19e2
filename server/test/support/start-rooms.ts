import { readFile } from 'node:fs/promises'
import mqtt, { type MqttClient } from 'mqtt'
import { type Api, type ApiLimits, type ApiOptions, createApi } from '../../src/api/index.ts'
import { type Client, createClient, memorySessionStore } from '../../src/client/index.ts'
import {
  type AccountId,
  type Bus,
  type BusOptions,
  type Caches,
  type Clock,
  createBus,
  createCaches,
  type DeviceId,
  type Log,
  newId,
  openDatabase,
  Personal,
  Secret,
  silentLog,
  systemClock,
} from '../../src/core/index.ts'
import {
  type ConnectionLog,
  createConnectionLog,
  createGateway,
  createReach,
  type Gateway,
  type GatewayLimits,
  gatewayMigrations,
} from '../../src/gateway/index.ts'
import {
  createExposures,
  createGuard,
  createReset,
  type Exposures,
  type Guard,
  type GuardOptions,
  guardMigrations,
  type Reset,
  type ResetParts,
} from '../../src/guard/index.ts'
import { createHome, type Home, homeMigrations } from '../../src/home/index.ts'
import {
  createIdentity,
  type Identity,
  identityMigrations,
  type OperatorRole,
} from '../../src/identity/index.ts'
import { createInsight, type Insight, insightMigrations } from '../../src/insight/index.ts'
import {
  createKeys,
  type KeyProvider,
  type Keys,
  keysMigrations,
  memoryKeyProvider,
} from '../../src/keys/index.ts'
import { createMail, type Mail, mailMigrations, type SmtpOptions } from '../../src/mail/index.ts'
import { fieldCatalogue } from '../../src/main/catalogue.ts'
import { exposureParts } from '../../src/main/exposure-parts.ts'
import { guardLetters } from '../../src/main/guard-letters.ts'
import { householdLetters } from '../../src/main/household-letters.ts'
import { recogniseCopy } from '../../src/main/recognise-copy.ts'
import { connectionsOf, touchedBy } from '../../src/main/reset-parts.ts'
import { createPrivacy, type Privacy } from '../../src/privacy/index.ts'
import {
  createRegistry,
  type ProvisionedDevice,
  type Registry,
  registryMigrations,
} from '../../src/registry/index.ts'
import { createStream, type Stream, streamMigrations } from '../../src/stream/index.ts'
import { createVault, type Vault, vaultMigrations } from '../../src/vault/index.ts'
import { createTestDatabase } from './database.ts'

/** The rooms as `main` joins them, on one database of their own and on free ports of 127.0.0.1. */
export interface Rooms {
  database: Awaited<ReturnType<typeof createTestDatabase>>
  provider: KeyProvider
  bus: Bus
  keys: Keys
  vault: Vault
  mail: Mail
  identity: Identity
  registry: Registry
  stream: Stream
  home: Home
  insight: Insight
  connections: ConnectionLog
  log: Log
  privacy: Privacy
  guard: Guard
  reset: Reset
  exposures: Exposures
  gateway: Gateway
  api: Api
  url: string
  opsUrl: string
  mqttUrl: string
  close(): Promise<void>
}

type Replaceable = Pick<
  Rooms,
  | 'insight'
  | 'home'
  | 'registry'
  | 'identity'
  | 'vault'
  | 'mail'
  | 'privacy'
  | 'guard'
  | 'reset'
  | 'exposures'
>

export interface RoomsOptions {
  clock?: Clock
  /** Of what happens in homes: it may run ahead, and neither sign-ins nor connections end by it. */
  homeClock?: Clock
  log?: Log
  limits?: Partial<ApiLimits>
  /** Without one, letters stay in the outbox. */
  smtp?: SmtpOptions
  guard?: Partial<GuardOptions>
  /** As another process on the same database, with the same root key. */
  beside?: Rooms
  /** Where copies for analysts may be kept as files. */
  copiesDirectory?: string
  /** Another way to that database. */
  databaseUrl?: string
  bus?: Partial<BusOptions>
  /** Looks on at what the rooms do with it. */
  wrapBus?: (bus: Bus) => Bus
  caches?: Caches
  /** A ledger of which tenures' data went into which store. */
  touched?: ResetParts['touched']
  gatewayLimits?: Partial<GatewayLimits>
  /** How often it looks for a reset that nobody works on. */
  resetLookMs?: number
  /** Puts something else in a room's place, e.g. one that fails. */
  replace?: (rooms: Replaceable) => Partial<Replaceable>
  api?: Partial<Pick<ApiOptions, 'ready' | 'trustedProxies' | 'listen' | 'publicUrl'>>
}

/** Ample: a test machine that is busy must not look like one that is cut off. */
const LEASE_MS = 30_000

/** Many people sign up and in from the tests' one address. */
const roomy = { burst: 10_000, everySeconds: 1 }

export async function startRooms({
  clock = systemClock,
  homeClock = clock,
  log = silentLog,
  limits = {},
  replace,
  beside,
  databaseUrl,
  copiesDirectory,
  bus: busOptions = {},
  wrapBus = (bus) => bus,
  caches = createCaches({ log }),
  smtp,
  touched,
  resetLookMs,
  gatewayLimits,
  guard: guardOptions = {},
  api: apiOptions = {},
}: RoomsOptions = {}): Promise<Rooms> {
  const database = beside
    ? openBeside(databaseUrl ?? beside.database.url)
    : await createTestDatabase([
        keysMigrations,
        guardMigrations,
        vaultMigrations,
        mailMigrations,
        identityMigrations,
        registryMigrations,
        streamMigrations,
        homeMigrations,
        gatewayMigrations,
        insightMigrations,
      ])
  const common = { database, clock, log }
  const ofHomes = { ...common, clock: homeClock }
  const bus = wrapBus(createBus({ database, log, leaseMs: LEASE_MS, ...busOptions }))
  await bus.start()
  const provider = beside?.provider ?? memoryKeyProvider()
  const keys = createKeys({ ...common, provider, bus, caches })
  await keys.start()
  const guard = createGuard({
    ...common,
    keys,
    feeds: {
      list: () => insight.feeds.list(),
      cut: (tx, copyId, reason) => insight.feeds.cut(tx, copyId, reason),
    },
    mail: guardLetters({ mail: () => mail, identity: () => identity }),
    recogniseCopy: recogniseCopy(() => insight),
    ...guardOptions,
  })
  const recordAct = guard.audit.record
  const presentedInVain = guard.canaries.presented
  const vault = createVault({ ...common, keys })
  const mail = createMail({ ...common, keys, vault, smtp, recordAct })
  await mail.start()
  let url = ''
  let gateway: Gateway | undefined
  const isHere = (id: DeviceId) => gateway?.isOnline(id) ?? false
  const reach = createReach({ bus, isHere })
  const registry = createRegistry({
    ...ofHomes,
    keys,
    bus,
    notify: householdLetters(mail),
    recordAct,
    presentedInVain,
    decoys: guard.canaries.devices,
    caches,
    isOnline: reach.isOnline,
  })
  const identity = createIdentity({
    ...common,
    keys,
    vault,
    issuer: () => url,
    sendLetter: mail.enqueue,
    holds: { begin: registry.holdBack, end: registry.endHold },
    endSupport: registry.endOperator,
    recordAct,
    presentedInVain,
    bus,
    limits: {
      signInPerAddress: roomy,
      signUpPerAddress: roomy,
      enrolmentPerAddress: roomy,
      recoveryPerAddress: roomy,
      codePerAddress: roomy,
      signUpAnswerMs: 1,
    },
  })
  const stream = createStream({ ...ofHomes, keys })
  const home = createHome({
    ...ofHomes,
    keys,
    registry,
    stream,
    bus,
    caches,
    isHere,
    isOnline: reach.isOnline,
    deliver: (command) => gateway?.deliver(command) ?? false,
  })
  const connections = createConnectionLog({ ...common, registry })
  const insight = createInsight({
    ...ofHomes,
    keys,
    registry,
    stream,
    connections,
    catalogue: fieldCatalogue,
    bus,
    recordAct,
    maxDays: 90,
    directory: copiesDirectory,
  })
  await registry.start()
  await stream.start()
  await home.start()
  await insight.start()
  gateway = createGateway({
    ...common,
    connections,
    presentedInVain,
    registry,
    stream,
    bus,
    caches,
    resendSecret: keys.purpose('gateway').deriveSecret('resends'),
    plain: { host: '127.0.0.1', port: 0 },
    limits: gatewayLimits,
    onDeviceReady: (deviceId, tenureId) => home.deviceReady(deviceId, tenureId),
    onCommandDelivered: (commandId, deviceId, tenureId) =>
      home.commandDelivered(commandId, deviceId, tenureId),
  })
  const { plainPort } = await gateway.start()
  const reset = createReset({
    ...common,
    bus,
    recordAct,
    signIns: identity.resets,
    devices: registry.resets,
    touched: touched ?? touchedBy(insight),
    connections: () => connectionsOf(gateway?.stats(), api.stats()),
    settleMs: 500,
    lookMs: resetLookMs,
  })
  const exposures = createExposures({
    ...common,
    keys,
    recordAct,
    ...exposureParts({ insight, registry, vault, mail, findings: guard.findings, reset }),
  })
  const privacy = createPrivacy({
    ...common,
    identity,
    vault,
    mail,
    registry,
    home,
    forgetElsewhere: exposures.affected.forget,
  })
  const api = createApi({
    identity,
    vault,
    mail,
    registry,
    home,
    insight,
    privacy,
    guard,
    reset,
    exposures,
    ...replace?.({ insight, home, registry, identity, vault, mail, privacy, guard, reset, exposures }),
    clock,
    log,
    listen: { host: '127.0.0.1', port: 0 },
    ops: { host: '127.0.0.1', port: 0 },
    ready: () => bus.lease.holds(),
    bus,
    stats: () => ({ ...caches.stats(), ...stream.stats(), ...home.stats(), ...gateway?.stats() }),
    ...apiOptions,
    limits: { signUpsPer10MinutesPerAddress: 10_000, signInsPerMinutePerAddress: 10_000, ...limits },
  })
  const opened = await api.start()
  url = opened.url
  await identity.start()
  await reset.start()
  exposures.start()
  return {
    database,
    provider,
    bus,
    keys,
    vault,
    mail,
    identity,
    registry,
    stream,
    home,
    insight,
    connections,
    log,
    privacy,
    guard,
    reset,
    exposures,
    gateway,
    api,
    url,
    opsUrl: opened.opsUrl ?? '',
    mqttUrl: `mqtt://127.0.0.1:${plainPort}`,
    async close() {
      await exposures.close()
      await reset.close()
      await api.close()
      await guard.close()
      await gateway.close()
      await identity.close()
      await insight.close()
      await home.close()
      await stream.close()
      await registry.close()
      await mail.close()
      reach.close()
      await keys.close()
      await bus.close()
      await database.drop()
    },
  }
}

function openBeside(url: string): Rooms['database'] {
  const database = openDatabase({ connection: { connectionString: url }, log: silentLog })
  return { ...database, url, drop: () => database.close() }
}

const PASSWORD = 'correct horse battery staple'
let people = 0

/** A new customer, signed up and signed in over HTTP. */
export async function newCustomer({ url, mail }: Pick<Rooms, 'url' | 'mail'>): Promise<Client> {
  people += 1
  const email = new Personal(`customer-${people}@example.org`)
  const password = new Secret(PASSWORD)
  const client = createClient({ baseUrl: url, store: memorySessionStore() })
  await join({ client, mail, email, password })
  await client.signIn({ clientId: 'hearthlock-cli', email, password })
  return client
}

/** Signs up, and confirms the address with the code of the letter that waits in the outbox. */
export async function join({
  client,
  mail,
  email,
  password,
}: Pick<Rooms, 'mail'> & { client: Client; email: Personal; password: Secret }): Promise<void> {
  const { signUpId } = await client.signUp({ email, name: new Personal('Ada'), password })
  await client.confirmSignUp({ signUpId, code: await signUpCode(mail, email) })
}

export async function signUpCode(mail: Rooms['mail'], email: Personal): Promise<Secret> {
  for (const { kind, letterId } of await mail.waiting()) {
    if (kind !== 'sign_up') continue
    const { to, text } = await mail.show(letterId, newId<AccountId>())
    const code = to.reveal() === email.reveal() && /[0-9A-Z]{5}-[0-9A-Z]{5}/.exec(text.reveal())?.[0]
    if (code) return new Secret(code)
  }
  throw new Error('no letter with the code of a sign-up')
}

/** The installation's one first operator, with every role. */
export async function newOperator({ url, identity }: Pick<Rooms, 'url' | 'identity'>): Promise<Client> {
  const code = await identity.operatorEnrolment()
  if (!code) throw new Error('there is an operator already')
  const email = new Personal('operator@maker.example')
  return await enrolled(url, code, email)
}

/** One more operator, with these roles only. */
export async function operatorWith(
  { url, identity }: Pick<Rooms, 'url' | 'identity'>,
  roles: OperatorRole[],
): Promise<Client> {
  const [officer] = (await identity.operators.list()).filter((operator) =>
    operator.roles.includes('security'),
  )
  if (!officer) throw new Error('there is no security officer yet')
  people += 1
  const code = await identity.inviteOperator({ invitedBy: officer.accountId, roles })
  return await enrolled(url, code, new Personal(`operator-${people}@maker.example`))
}

async function enrolled(url: string, code: Secret, email: Personal): Promise<Client> {
  const client = createClient({ baseUrl: url, store: memorySessionStore() })
  const passkey = await client.makePasskey(
    await client.enrolOperator({ code, email, name: new Personal('Olga') }),
  )
  await client.signIn({ clientId: 'hearthlock-operator-cli', passkey })
  return client
}

/** One of the shipped models, such as `hearth-lock`. */
export async function readModel(name: string): Promise<Record<string, unknown> & { name: string }> {
  const file = new URL(`../../models/${name}.json`, import.meta.url)
  return JSON.parse(await readFile(file, 'utf8'))
}

/** A device of a shipped model, straight from the registry, with a password for MQTT. */
export async function provisionDevice(
  { registry }: Pick<Rooms, 'registry'>,
  modelName: string,
): Promise<ProvisionedDevice> {
  const model =
    (await registry.modelByName(modelName)) ??
    (await registry.addModel((await readModel(modelName)) as never))
  const [device] = await registry.provision({ modelId: model.id, count: 1 }, { withPassword: true })
  if (!device) throw new Error('no device was provisioned')
  return device
}

/** The device's own MQTT client, connected. */
export async function connectDevice(
  { mqttUrl }: Pick<Rooms, 'mqttUrl'>,
  { deviceId, password }: ProvisionedDevice,
): Promise<MqttClient> {
  return await mqtt.connectAsync(mqttUrl, {
    protocolVersion: 5,
    clientId: deviceId,
    username: deviceId,
    password: password?.reveal() ?? '',
    reconnectPeriod: 0,
  })
}
