import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IConnectPacket } from 'mqtt-packet'
import {
  type Cache,
  createCaches,
  type DeviceId,
  endlessLease,
  isAppError,
  noticeNothing,
  type TenureId,
} from '../core/index.ts'
import type { DeviceIdentity, Tenure, TenureChange } from '../registry/index.ts'
import { Admission } from './admission.ts'
import { handleFirstPacket } from './connect.ts'
import { Connection, hold } from './connection.ts'
import type { CommandDelivery, Gateway, GatewayOptions } from './face.ts'
import { FrameReader } from './frames.ts'
import { defaultLimits, type GatewayLimits } from './limits.ts'
import { type Line, Lines } from './lines.ts'
import { type Accepted, type Listener, plainListener, tlsListener } from './listener.ts'
import { Flusher, Outgoing } from './outgoing.ts'
import { Presence } from './presence.ts'
import { encodeConnack } from './rare-packets.ts'
import { cutOff, type Refusal, reason } from './reason-codes.ts'
import { ResetWaves } from './reset-waves.ts'
import { Session } from './session.ts'
import type { SessionContext } from './session-context.ts'
import { SessionRows } from './session-rows.ts'
import { counterStats, newCounters } from './stats.ts'

const SWEEP_MS = 1_000
/** How much of the counts of attempts a crash may take with it. */
const COUNT_EVERY_MS = 5_000

/** A device that is being authenticated. */
interface Attempt {
  /** Tenure changes that came meanwhile. */
  changes: Map<DeviceId, Tenure | undefined>
  /** Some may have been missed. */
  missed: boolean
  /** Of the lease: what was read in another one does not count. */
  term: number
  /** For a resumed TLS session: in which epoch at the latest the device has proved its key. */
  provedBy: number | undefined
}

export function createGateway(options: GatewayOptions): Gateway {
  return new MqttGateway(options)
}

/** Brings connections, sessions, lines and presence together. */
class MqttGateway implements Gateway {
  readonly #options: GatewayOptions
  readonly #limits: GatewayLimits
  readonly #admission: Admission
  readonly #lines: Lines
  readonly #presence: Presence
  readonly #context: SessionContext
  readonly #flusher = new Flusher()
  readonly #connections = new Set<Connection>()
  readonly #sessions: Cache<DeviceId, Session>
  readonly #lease: typeof endlessLease
  readonly #attempts = new Set<Attempt>()
  readonly #waves: ResetWaves
  readonly #listeners: { tls: Listener | undefined; plain: Listener | undefined }
  #stopListening: (() => void)[] = []
  #sweeper: NodeJS.Timeout | undefined
  #closing = false
  #countedAtMs = 0

  constructor(options: GatewayOptions) {
    const { stream, registry, database, clock, log, bus, caches = createCaches({ log }) } = options
    this.#options = options
    this.#lease = bus?.lease ?? endlessLease
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#admission = new Admission(this.#limits, clock)
    const { resendSecret, formerResendSecrets = [] } = options
    this.#sessions = caches.create({
      name: 'sessions',
      belongs: (session, id) => session.deviceId === id,
    })
    this.#lines = new Lines({
      stream,
      registry,
      resendSecrets: [resendSecret, ...formerResendSecrets],
      caches,
    })
    const graceMs = this.#limits.offlineGraceMs
    const rows = new SessionRows({ database, node: bus?.node ?? randomUUID() })
    this.#presence = new Presence({
      lines: this.#lines,
      rows,
      registry,
      bus,
      clock,
      log,
      graceMs,
      onMoved: (deviceId) => this.#sessions.find(deviceId)?.close(movedOn),
    })
    this.#context = {
      limits: this.#limits,
      stream,
      registry,
      clock,
      log,
      counters: newCounters(),
      lease: this.#lease,
      congested: new Set(),
      connections: options.connections,
      onDeviceReady: options.onDeviceReady,
      onCommandDelivered: options.onCommandDelivered,
    }
    this.#waves = new ResetWaves({
      sessions: () => this.#sessions.values(),
      closesPerSecond: this.#limits.resetClosesPerSecond,
      counters: this.#context.counters,
    })
    const dependencies = {
      admission: this.#admission,
      clock,
      onConnection: (accepted: Accepted) => this.#connected(accepted),
    }
    this.#listeners = {
      tls: options.tls && tlsListener(options.tls, dependencies),
      plain: options.plain && plainListener(options.plain, dependencies),
    }
  }

  async start(): Promise<{ tlsPort?: number | undefined; plainPort?: number | undefined }> {
    const { registry, stream, bus } = this.#options
    this.#presence.start()
    this.#stopListening = [
      registry.onTenureChange(
        (change) => this.#tenureChanged(change),
        () => [...this.#sessions.keys(), ...this.#lines.all().map((line) => line.deviceId)],
      ),
      registry.resets.onReset((reset) => {
        // In one turn: what is resumed after it began after it.
        this.#listeners.tls?.forgetSessions()
        return this.#waves.hear(reset)
      }),
      this.#lease.onLapse(() => this.#cutOff()),
      bus?.onGap(async () => this.#missed()) ?? (() => {}),
      stream.onDrain(() => this.#drained()),
    ]
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_MS)
    const tlsPort = await this.#listeners.tls?.listen()
    const plainPort = await this.#listeners.plain?.listen()
    return { tlsPort, plainPort }
  }

  async close(): Promise<void> {
    this.#closing = true
    const listeners = Promise.all([this.#listeners.tls?.close(), this.#listeners.plain?.close()])
    this.#admission.closeStrangers()
    const sessions = [...this.#sessions.values()]
    for (const { connection } of sessions) connection.hold(hold.connecting)
    await this.#waitFor(() => sessions.every((session) => session.inFlight === 0), this.#limits.drainMs)
    for (const session of sessions)
      session.close({ code: reason.serverShuttingDown, text: 'the server is shutting down' })
    await this.#waitFor(() => this.#connections.size === 0, Math.min(this.#limits.drainMs, 1_000))
    for (const connection of this.#connections) connection.destroy()
    clearInterval(this.#sweeper)
    this.#waves.close()
    for (const stop of this.#stopListening) stop()
    await this.#presence.close()
    await this.#options.connections?.flush()
    await listeners
  }

  isOnline(deviceId: DeviceId): boolean {
    return this.#sessions.find(deviceId)?.isGood === true
  }

  deliver(delivery: CommandDelivery): boolean {
    if (!this.#lease.holds()) return false
    try {
      return this.#sessions.get(delivery.deviceId)?.deliver(delivery) ?? false
    } catch (error) {
      // Another device's session: it is counted, and the command waits.
      if (isAppError(error, 'integrity_failed')) return false
      throw error
    }
  }

  disconnect(deviceId: DeviceId, text: string): void {
    this.#sessions.find(deviceId)?.close({ code: reason.administrativeAction, text })
  }

  stats(): Record<string, number> {
    return {
      gateway_connections: this.#connections.size,
      gateway_sessions: this.#sessions.size,
      gateway_unauthenticated_connections: this.#admission.unauthenticated,
      gateway_congested_connections: this.#context.congested.size,
      gateway_lines: this.#lines.size,
      gateway_void_sessions: this.#waves.waiting,
      gateway_refused_connections_total: this.#admission.refusedConnections,
      gateway_availability_failures_total: this.#presence.failures,
      ...counterStats(this.#context.counters),
    }
  }

  /** Ends what is silent, slow to connect or slow to close. Called once a second. */
  sweep(): void {
    const nowMs = this.#options.clock.nowMs()
    this.#admission.sweep(nowMs)
    for (const connection of this.#connections) {
      if (!connection.sweep(nowMs)) continue
      this.#context.counters.keepAliveTimeouts += 1
      connection.close(reason.keepAliveTimeout, 'nothing came within one and a half times the keep-alive')
    }
    this.#presence.tick(nowMs)
    if (nowMs - this.#countedAtMs >= COUNT_EVERY_MS) {
      this.#countedAtMs = nowMs
      void this.#options.connections?.flush()
    }
  }

  #connected({ socket, admitted, certificate, resumed }: Accepted): void {
    const { registry, clock, log } = this.#options
    const limits = this.#limits
    const { counters } = this.#context
    // The ticket was of this listener's present keys, which are as old as the newest reset that was heard of here.
    const provedBy = resumed ? this.#waves.epoch : undefined
    const connection: Connection = new Connection({
      socket,
      reader: new FrameReader(limits.bytesBeforeConnect),
      outgoing: new Outgoing({
        socket,
        flusher: this.#flusher,
        maxBytes: limits.outgoingBytes,
        onTooSlow: () => {
          counters.slowConsumers += 1
          connection.destroy()
        },
      }),
      handler: {
        packet: () => {
          const attempt: Attempt = {
            changes: new Map(),
            missed: false,
            term: this.#lease.term,
            provedBy,
          }
          this.#attempts.add(attempt)
          const checked = { certificate, address: admitted.address, registry, admission: this.#admission }
          void handleFirstPacket(connection, checked, {
            counters,
            log,
            presentedInVain: this.#options.presentedInVain ?? noticeNothing,
            attempted: (claimed, outcome) => this.#options.connections?.attempted(claimed, outcome),
            accept: async (identity, connect) => {
              const refusal = await this.#accept(connection, identity, connect, attempt)
              if (!refusal) admitted.authenticated()
              return refusal
            },
          }).finally(() => this.#attempts.delete(attempt))
        },
        closed: () => {},
      },
      maxPendingBytes: limits.bytesBeforeConnect,
      nowMs: clock.nowMs(),
    })
    this.#connections.add(connection)
    socket.once('close', () => this.#connections.delete(connection))
  }

  /** Authenticated and allowed: the session begins. */
  async #accept(
    connection: Connection,
    { deviceId, model, tenure, rotationDue, epoch }: DeviceIdentity,
    connect: IConnectPacket,
    attempt: Attempt,
  ): Promise<Refusal | undefined> {
    const line = await this.#currentLine(deviceId, tenure, attempt)
    if (!this.#lease.holds() || this.#lease.term !== attempt.term) return cutOff
    if (line === 'unavailable')
      return { code: reason.serverUnavailable, text: 'the server is busy or starting: try again shortly' }
    if (this.#closing || !connection.open) {
      connection.destroy()
      return undefined
    }
    const limits = this.#limits
    const session = new Session({
      deviceId,
      model,
      rotationDue,
      epoch: Math.min(epoch, attempt.provedBy ?? epoch),
      line,
      connection,
      context: this.#context,
      connect,
      onEnd: (ended) => this.#ended(ended),
    })
    const asked = connect.keepalive ?? 0
    const keepAlive = asked === 0 || asked > limits.keepAliveSeconds ? limits.keepAliveSeconds : asked
    const former = this.#sessions.find(deviceId)
    this.#sessions.set(deviceId, session)
    if (former) {
      // Only the same authenticated identity comes this far (section 3.1.4 [MQTT-3.1.4-3]).
      this.#context.counters.takenOver += 1
      former.close(movedOn)
    }
    if (line) this.#live(line)
    connection.handler = session
    connection.reader.maxBytes = limits.packetBytes
    connection.maxPendingBytes = Number.MAX_SAFE_INTEGER
    connection.keepAlive(keepAlive)
    connection.outgoing.send(
      encodeConnack(connection.version, {
        receiveMaximum: limits.receiveMaximum,
        maximumPacketSize: limits.packetBytes,
        assignedClientIdentifier: connect.clientId === '' ? deviceId : undefined,
        serverKeepAlive: keepAlive === asked ? undefined : keepAlive,
      }),
    )
    this.#waves.begins(session).catch((error: unknown) => {
      this.#options.log.warn('whether a reset reaches a device could not be read', { error })
      session.close({ code: reason.serverBusy, text: 'connect again' })
    })
    connection.lift(hold.connecting)
    return undefined
  }

  /** The line of the tenure that holds now, whatever changed while the device was being authenticated. */
  async #currentLine(
    deviceId: DeviceId,
    known: Tenure | undefined,
    attempt: Attempt,
  ): Promise<Line | undefined | 'unavailable'> {
    const { changes } = attempt
    let tenure = known
    for (;;) {
      if (attempt.missed) {
        attempt.missed = false
        tenure = await this.#options.registry.currentTenure(deviceId)
      }
      if (changes.has(deviceId)) tenure = changes.get(deviceId)
      changes.delete(deviceId)
      let line: Line | undefined
      try {
        line = tenure && (await this.#lines.open(tenure))
      } catch (error) {
        // The key of a tenure that has just ended may be destroyed already: then the change is on its way.
        if (!isAppError(error, 'not_found') && !isAppError(error, 'unavailable')) throw error
        if (!changes.has(deviceId)) return 'unavailable'
      }
      if (!changes.has(deviceId) && !attempt.missed && !line?.ended) return line
    }
  }

  #live(line: Line): void {
    line.live = true
    this.#presence.changed(line)
  }

  #ended(session: Session): void {
    // After a takeover the device is still online.
    if (this.#sessions.find(session.deviceId) !== session) return
    this.#sessions.delete(session.deviceId)
    const { line } = session
    if (line === undefined || line.ended) return
    line.live = false
    this.#presence.changed(line)
  }

  #tenureChanged({ deviceId, tenure }: TenureChange): void {
    for (const { changes } of this.#attempts) changes.set(deviceId, tenure)
    const line = this.#lines.get(deviceId)
    if (line && line.tenure.tenureId !== tenure?.tenureId) this.#presence.ended(line)
    const session = this.#sessions.find(deviceId)
    if (session === undefined || session.tenureId === tenure?.tenureId) return
    if (session.tenureId === undefined && tenure) {
      session.enteringTenure(tenure.tenureId)
      this.#enterTenure(session, tenure).catch((error: unknown) => {
        this.#options.log.warn('a claimed device could not go on and was disconnected', { error })
        session.close({ code: reason.serverBusy, text: 'connect again' })
      })
      return
    }
    session.leaveTenure({ code: reason.administrativeAction, text: 'the tenure of this device has ended' })
  }

  async #enterTenure(session: Session, tenure: Tenure): Promise<void> {
    const line = await this.#lines.open(tenure)
    if (!isCurrent(session, tenure.tenureId) || line.ended) {
      if (!line.ended && !line.live) this.#presence.ended(line)
      return
    }
    this.#live(line)
    session.enteredTenure(line)
  }

  /** Every device may be another household's by now: those that can be reached elsewhere go on there. */
  #cutOff(): void {
    for (const session of [...this.#sessions.values()]) session.close(cutOff)
  }

  #missed(): void {
    for (const attempt of this.#attempts) attempt.missed = true
  }

  #drained(): void {
    const waiting = [...this.#context.congested]
    this.#context.congested.clear()
    for (const connection of waiting) connection.lift(hold.congested)
  }

  async #waitFor(holds: () => boolean, maxMs: number): Promise<void> {
    for (let waitedMs = 0; waitedMs < maxMs && !holds(); waitedMs += 10) await sleep(10)
  }
}

const movedOn: Refusal = { code: reason.sessionTakenOver, text: 'the device has connected again' }

function isCurrent(session: Session, tenureId: TenureId): boolean {
  return session.connection.open && session.tenureId === tenureId
}
