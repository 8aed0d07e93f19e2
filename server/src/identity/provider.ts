import type { EventEmitter } from 'node:events'
import Provider, {
  type Configuration,
  interactionPolicy,
  type JWK,
  type KoaContextWithOIDC,
} from 'oidc-provider'
import { type AccountId, isId, type Log } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Accounts } from './accounts.ts'
import { type Artifacts, grantHandle } from './artifacts.ts'
import type { Callers } from './callers.ts'
import { clientMetadata, clientOf } from './clients.ts'
import type { SignInMethod } from './face.ts'
import { errorPage } from './page.ts'
import type { Sessions } from './sessions.ts'

/** At most 300 s is a promise: what a thief of token and key together can do must end soon. */
const ACCESS_TOKEN_SECONDS = 300
const DAY = 24 * 60 * 60
/** `idle`: without a refresh. `whole`: from sign-in, whatever happens. */
const sessionSeconds = {
  customer: { idle: 30 * DAY, whole: 180 * DAY },
  operator: { idle: DAY / 2, whole: DAY / 2 },
}

/** oidc-provider with one narrow way through: code, PKCE S256, DPoP, opaque tokens, our own clients. */
export function createProvider(o: {
  issuer: string
  artifacts: Artifacts
  accounts: Accounts
  keys: Keys
  signingKey: JWK
  sessions: Sessions
  callers: Callers
  /** 32 bytes of this process (dpop-nonces.ts). */
  nonceSecret: Buffer
  /** A refresh token or a code was used again, and the sign-in was ended for it. */
  onReuse: (accountId: AccountId) => Promise<void>
  log: Log
}): Provider {
  const cookie = {
    httpOnly: true,
    sameSite: 'lax',
    signed: true,
    secure: o.issuer.startsWith('https:'),
    overwrite: true,
  } as const
  const configuration: Configuration = {
    adapter: (model: string) => o.artifacts.adapter(model),
    clients: clientMetadata,
    jwks: { keys: [o.signingKey] },
    routes: {
      authorization: '/oauth/auth',
      token: '/oauth/token',
      jwks: '/oauth/jwks',
      revocation: '/oauth/revoke',
      end_session: '/oauth/end-session',
    },
    responseTypes: ['code'],
    scopes: ['openid', 'offline_access'],
    subjectTypes: ['public'],
    clientAuthMethods: ['none'],
    claims: { openid: ['sub'] },
    pkce: { required: () => true },
    features: {
      dPoP: { enabled: true, nonceSecret: o.nonceSecret, requireNonce: () => true },
      // A token is revoked by whoever holds it, through the client that it was given to (RFC 7009 section 2.1).
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      devInteractions: { enabled: false },
      registration: { enabled: false },
      introspection: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      resourceIndicators: { enabled: false },
      requestObjects: { enabled: false },
      claimsParameter: { enabled: false },
      clientCredentials: { enabled: false },
      deviceFlow: { enabled: false },
    },
    formats: { bitsOfOpaqueRandomness: 256 },
    rotateRefreshToken: true,
    // A refresh token with every sign-in; offline_access would ask for a consent page, and these clients have none.
    issueRefreshToken: () => true,
    extraTokenClaims: (ctx) => {
      const { AuthorizationCode, RefreshToken } = ctx.oidc.entities
      const { authTime, amr } = AuthorizationCode ?? RefreshToken ?? {}
      return { auth_time: authTime, amr }
    },
    expiresWithSession: () => false,
    revokeGrantPolicy: () => true,
    clientBasedCORS: () => false,
    ttl: {
      AccessToken: ACCESS_TOKEN_SECONDS,
      AuthorizationCode: 60,
      IdToken: ACCESS_TOKEN_SECONDS,
      Interaction: 15 * 60,
      Session: 15 * 60,
      RefreshToken: (_ctx, _token, client) => seconds(client.clientId).idle,
      Grant: (_ctx, grant) => seconds(grant.clientId).whole,
    },
    cookies: {
      names: {
        session: 'hearthlock_session',
        interaction: 'hearthlock_interaction',
        resume: 'hearthlock_resume',
      },
      long: { ...cookie, path: '/oauth' },
      short: cookie,
      keys: o.keys
        .purpose('identity.cookies')
        .deriveSecrets('signing')
        .map((secret) => secret.reveal()),
    },
    interactions: {
      url: (_ctx, interaction) => `/oauth/interaction/${interaction.uid}`,
      policy: passwordEachTime(),
    },
    findAccount: (ctx, accountId) => findAccount(ctx, accountId, o.accounts),
    loadExistingGrant: (ctx) => grantOfThisSignIn(ctx, o),
    renderError(ctx, out) {
      const status = ctx.status
      if (ctx.accepts('json', 'html') !== 'html') {
        ctx.body = { error: out.error }
        return
      }
      const { html, headers } = errorPage(status >= 500 ? 'failed' : whatWentWrong(out.error_description))
      ctx.set(headers)
      ctx.body = html
    },
  }
  const provider = new Provider(o.issuer, configuration)
  // Requests are given the public URL's host and scheme before they come here (oauth-http.ts).
  provider.proxy = true
  const failed = (error: unknown) => o.log.error('the OpenID provider failed', { error })
  // Of a token that its own client revokes the route is another.
  provider.on('grant.revoked', ({ oidc: { route, entities } }) => {
    const used = entities.RefreshToken ?? entities.AuthorizationCode
    if (route !== 'token' || !used?.accountId) return
    o.onReuse(used.accountId as AccountId).catch(failed)
  })
  provider.on('server_error', (_ctx, error) => failed(error))
  // Koa's own event; without a listener Koa prints the error, values and all.
  const koa: EventEmitter = provider
  koa.on('error', failed)
  return provider
}

/** When and how the sign-in behind an access token was made. A token that does not say was made long ago, by nothing. */
export function signInOf(token: { extra?: Record<string, unknown> | undefined }) {
  const { auth_time: at, amr, epoch } = token.extra ?? {}
  return {
    epoch: typeof epoch === 'number' ? epoch : 0,
    authTimeSeconds: typeof at === 'number' ? at : 0,
    amr: (Array.isArray(amr) ? amr : []) as SignInMethod[],
  }
}

function seconds(clientId: string | undefined): { idle: number; whole: number } {
  return sessionSeconds[clientOf(clientId)?.kind ?? 'operator']
}

/**
 * Consent is given by using our own client. But any program on the machine can pose as a native client
 * (RFC 8252 section 8.6), so there is no silent way: each authorization asks for the password.
 */
function passwordEachTime(): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base()
  policy.remove('consent')
  const fresh = new interactionPolicy.Check(
    'fresh_login',
    'each authorization needs a sign-in of its own',
    'login_required',
    (ctx) => !ctx.oidc.result?.login,
  )
  policy.get('login')?.checks.add(fresh)
  return policy
}

/** A new grant for each sign-in, so that ending one leaves the person's other sign-ins alone. */
async function grantOfThisSignIn(
  ctx: KoaContextWithOIDC,
  { sessions, callers }: { sessions: Sessions; callers: Callers },
) {
  const { result, account, client, provider } = ctx.oidc
  if (!result?.login || !account || !client) return undefined
  const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId })
  grant.addOIDCScope('openid offline_access')
  const grantId = await grant.save()
  const { beganAtMs, passkeySinceMs } = result
  await sessions.begin({
    grantId,
    sessionId: grantHandle(grantId),
    accountId: account.accountId as AccountId,
    clientId: client.clientId,
    beganAtMs: typeof beganAtMs === 'number' ? beganAtMs : 0,
    passkeySinceMs: typeof passkeySinceMs === 'number' ? passkeySinceMs : undefined,
    remoteAddress: callers.of(ctx.req),
  })
  return grant
}

async function findAccount(ctx: KoaContextWithOIDC, accountId: string, accounts: Accounts) {
  if (!isId(accountId)) return undefined
  const account = await accounts.find(accountId as AccountId)
  // The sign-in has looked at the kind already; tokens of one kind can't be had through the other's client either.
  if (!account || account.kind !== clientOf(ctx.oidc.client?.clientId)?.kind) return undefined
  return { accountId, claims: () => ({ sub: accountId }) }
}

function whatWentWrong(description: string | undefined): 'expired' | 'refused' {
  return /not found|expired|mismatch/.test(description ?? '') ? 'expired' : 'refused'
}
