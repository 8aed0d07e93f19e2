import { AppError, type Bus, type Clock, endlessLease, type Log, type Secret } from '../core/index.ts'
import type { Exposures, Guard, Reset } from '../guard/index.ts'
import type { Home } from '../home/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Insight } from '../insight/index.ts'
import type { Mail } from '../mail/index.ts'
import type { Privacy } from '../privacy/index.ts'
import type { Registry } from '../registry/index.ts'
import type { Vault } from '../vault/index.ts'
import type { App, RouteParts } from './app.ts'
import { auditRoutes } from './audit.ts'
import { createAuthenticate } from './authentication.ts'
import { commandRoutes } from './commands.ts'
import { copyRoutes } from './copies.ts'
import { deviceAuthorityRoutes } from './device-authority.ts'
import { deviceRoutes } from './devices.ts'
import { disputeRoutes } from './disputes.ts'
import { emailAddressRoutes } from './email-address.ts'
import { erasureRoutes } from './erasure.ts'
import { exportRoutes } from './export.ts'
import { exposureRoutes } from './exposures.ts'
import { findingRoutes } from './findings.ts'
import { healthRoutes } from './health.ts'
import { householdLogRoutes } from './household-log.ts'
import { householdRoutes } from './households.ts'
import { invitationRoutes } from './invitations.ts'
import { joinPageRoutes } from './join-page.ts'
import { refuseWithoutLease } from './lease.ts'
import { type ApiLimits, defaultLimits } from './limits.ts'
import { liveRoutes } from './live.ts'
import { createLiveResets } from './live-resets.ts'
import { createLiveSecurity } from './live-security.ts'
import { createLiveStreams } from './live-streams.ts'
import { meRoutes } from './me.ts'
import { memberRoutes } from './members.ts'
import { metricRoutes } from './metrics.ts'
import { modelRoutes } from './models.ts'
import { oauthRoutes } from './oauth.ts'
import { documentRoutes } from './openapi.ts'
import { operatorRoutes } from './operators.ts'
import { createMetrics, isLoopback, opsRoutes } from './ops.ts'
import { outboxRoutes } from './outbox.ts'
import { passkeyRoutes } from './passkeys.ts'
import { passwordRoutes } from './password.ts'
import { pastDeviceRoutes } from './past-devices.ts'
import { provisioningRoutes } from './provisioning.ts'
import { createRateLimits } from './rate-limits.ts'
import { recoveryRoutes } from './recovery.ts'
import { noticeRefused } from './refused-credentials.ts'
import { refuseAfterReset } from './reset-answers.ts'
import { resetRoutes } from './resets.ts'
import { secondFactorRoutes } from './second-factor.ts'
import { createServer, listen } from './server.ts'
import { sessionRoutes } from './sessions.ts'
import { signUpRoutes } from './sign-up.ts'
import { storeRoutes } from './stores.ts'
import { supportAccessRoutes } from './support-access.ts'
import { tenureRoutes } from './tenures.ts'

export interface ApiOptions {
  identity: Identity
  vault: Vault
  mail: Mail
  registry: Registry
  home: Home
  insight: Insight
  privacy: Privacy
  guard: Guard
  reset: Reset
  exposures: Exposures
  log: Log
  clock: Clock
  listen: {
    host: string
    port: number
    /** PEM. Without it the host must be a loopback address. */
    tls?: { cert: string; key: Secret } | undefined
  }
  /** The listener for metrics; its host must be a loopback address. */
  ops?: { host: string; port: number } | undefined
  /** Where people and apps find this server: scheme, host and port, no path. The listener's own URL unless given. */
  publicUrl?: string | undefined
  /** Addresses or networks of reverse proxies whose X-Forwarded-For is believed. */
  trustedProxies?: string[] | undefined
  ready: () => boolean | Promise<boolean>
  /** Tells whether this process hears what others change; without it there must be no others. */
  bus?: Pick<Bus, 'lease' | 'onGap'> | undefined
  /** Everybody's counters, for /metrics. */
  stats: () => Record<string, number>
  limits?: Partial<ApiLimits> | undefined
}

export interface Api {
  /** @throws AppError start_refused: a port is taken, or an address would be open to others without TLS */
  start(): Promise<{ url: string; httpPort: number; opsUrl?: string | undefined }>
  /** Ends live streams, lets requests in flight finish for a moment, then closes what is left. */
  close(): Promise<void>
  /** The public URL; known once started. */
  readonly url: string
  /** `METHOD url` of every route of the public listener, for tests that walk them all. */
  routes(): { method: string; url: string }[]
  stats(): Record<string, number>
}

export function createApi(options: ApiOptions): Api {
  const limits: ApiLimits = { ...defaultLimits, ...options.limits }
  const live = createLiveStreams(limits)
  const security = createLiveSecurity({ identity: options.identity, live, log: options.log })
  const liveResets = createLiveResets({ live, limits })
  /** Of the newest reset that was heard of. */
  let newestEpoch = 0
  const routes: { method: string; url: string }[] = []
  let url = ''
  let closing = false
  let open: App[] = []
  let stopListening: (() => void)[] = []

  const ready = async () => !closing && (await options.ready())
  const stats = () => ({
    api_live_streams: live.count,
    api_void_streams: liveResets.waiting,
    api_streams_ended_by_reset_total: liveResets.ended,
  })

  async function build(): Promise<{ app: App; ops: App | undefined }> {
    const { identity, vault, mail, registry, home, insight, privacy, guard, reset, exposures, clock, log } =
      options
    const app = createServer({
      limits,
      log,
      tls: options.listen.tls,
      trustedProxies: options.trustedProxies,
    })
    app.addHook('onRoute', ({ method, url: pattern }) => {
      for (const each of [method].flat()) routes.push({ method: each, url: pattern })
    })
    const metrics = createMetrics(() => ({ ...options.stats(), ...stats() }))
    metrics.measure(app)
    noticeRefused(app, guard.canaries.presented, () => url)
    refuseWithoutLease(app, options.bus?.lease ?? endlessLease)
    refuseAfterReset(app, identity, () => newestEpoch)
    const limit = await createRateLimits(app, limits)
    app.addHook('onRequest', limit.perAddress)
    await documentRoutes(app, () => url)
    const authenticate = createAuthenticate({
      identity,
      refusedTokens: limit.refusedTokens,
      publicUrl: () => url,
    })
    const parts: RouteParts = {
      app,
      authenticate,
      limit,
      limits,
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
      live,
      ready,
      url: () => url,
      clock,
      log,
    }
    healthRoutes(parts)
    oauthRoutes(parts)
    signUpRoutes(parts)
    recoveryRoutes(parts)
    meRoutes(parts)
    emailAddressRoutes(parts)
    sessionRoutes(parts)
    exportRoutes(parts)
    erasureRoutes(parts)
    passwordRoutes(parts)
    passkeyRoutes(parts)
    secondFactorRoutes(parts)
    householdRoutes(parts)
    householdLogRoutes(parts)
    memberRoutes(parts)
    invitationRoutes(parts)
    joinPageRoutes(parts)
    supportAccessRoutes(parts)
    liveRoutes(parts)
    deviceRoutes(parts)
    tenureRoutes(parts)
    pastDeviceRoutes(parts)
    disputeRoutes(parts)
    commandRoutes(parts)
    operatorRoutes(parts)
    outboxRoutes(parts)
    auditRoutes(parts)
    resetRoutes(parts)
    exposureRoutes(parts)
    copyRoutes(parts)
    metricRoutes(parts)
    storeRoutes(parts)
    findingRoutes(parts)
    modelRoutes(parts)
    provisioningRoutes(parts)
    deviceAuthorityRoutes(parts)

    if (!options.ops) return { app, ops: undefined }
    const ops = createServer({ limits, log })
    opsRoutes(ops, metrics)
    healthRoutes({ app: ops, ready })
    return { app, ops }
  }

  return {
    async start() {
      refuseOpenDoors(options)
      stopListening = [
        options.identity.onSessionsChange(({ accountId }) => security.look(accountId)),
        options.identity.resets.onReset((reset) => {
          newestEpoch = reset.epoch
          return liveResets.hear(reset)
        }),
        options.identity.onNotice(({ accountId }) => security.tell(accountId)),
        // A session may have ended unheard: whoever still has one comes back at once.
        options.bus?.onGap(async () => live.close()) ?? (() => {}),
      ]
      const { app, ops } = await build()
      open = ops ? [app, ops] : [app]
      try {
        const port = await listen(app, options.listen)
        url = options.publicUrl?.replace(/\/$/, '') ?? publicUrlOf(options.listen, port)
        if (!ops || !options.ops) return { url, httpPort: port }
        const opsPort = await listen(ops, options.ops)
        return { url, httpPort: port, opsUrl: urlOf(options.ops, opsPort) }
      } catch (error) {
        await Promise.all(open.map((server) => server.close()))
        throw error
      }
    },
    async close() {
      closing = true
      for (const stop of stopListening) stop()
      liveResets.close()
      live.close()
      const cut = setTimeout(() => {
        for (const { server } of open) server.closeAllConnections()
      }, limits.closeGraceSeconds * 1000)
      await Promise.all(open.map((server) => server.close()))
      clearTimeout(cut)
    },
    get url() {
      return url
    },
    routes: () => [...routes],
    stats,
  }
}

/** Passwords and tokens cross the public listener; the ops listener has no authentication at all. */
function refuseOpenDoors({ listen: { host, tls }, ops }: ApiOptions): void {
  if (!tls && !isLoopback(host))
    throw new AppError('start_refused', {
      message: `Without a TLS certificate the API listens on a loopback address only, not on ${host}.`,
    })
  if (ops && !isLoopback(ops.host))
    throw new AppError('start_refused', {
      message: `The metrics listener takes a loopback address only, not ${ops.host}.`,
    })
}

/** The usual loopback is called localhost: browsers bind passkeys to a name, and to no IP address (WebAuthn section 5.1.3). */
function publicUrlOf(listener: { host: string; tls?: unknown }, port: number): string {
  const named = ['127.0.0.1', '::1'].includes(listener.host)
  return urlOf(named ? { ...listener, host: 'localhost' } : listener, port)
}

function urlOf({ host, tls }: { host: string; tls?: unknown }, port: number): string {
  return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
