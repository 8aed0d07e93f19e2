import type Provider from 'oidc-provider'
import type { JWK } from 'oidc-provider'
import { AppError, noticeNothing, recordNothing } from '../core/index.ts'
import { createAccountChanges } from './account-changes.ts'
import { createAccountRemoval } from './account-removal.ts'
import { createAccounts } from './accounts.ts'
import { createArtifacts, grantHandle } from './artifacts.ts'
import { createAuthenticate } from './authenticate.ts'
import { createCallers } from './callers.ts'
import { createChangePassword } from './change-password.ts'
import { createDpopNonces } from './dpop-nonces.ts'
import { createEmailAddress } from './email-address.ts'
import { createEnrolment, createMakeOperator, type Enrolment } from './enrolment.ts'
import type { Identity, IdentityLimits, IdentityOptions } from './face.ts'
import { createInteraction } from './interaction.ts'
import { createMailedCodes } from './mailed-codes.ts'
import { createNotices } from './notices.ts'
import { createOAuthHandler } from './oauth-http.ts'
import { createOneUse, sweepOneUse } from './one-use.ts'
import { createOperators } from './operators.ts'
import { createOwnSessions } from './own-sessions.ts'
import { createPasskeyDoor } from './passkey-http.ts'
import {
  createPasskeyRegistration,
  type MakeAccount,
  type PasskeyRegistration,
  type Ticket,
} from './passkey-registration.ts'
import { type Challenge, createPasskeySignIn } from './passkey-sign-in.ts'
import { createPasskeys } from './passkeys.ts'
import { createPasswords } from './passwords.ts'
import { createProvider, signInOf } from './provider.ts'
import { createRateLimits } from './rate-limits.ts'
import { createRecoveries } from './recoveries.ts'
import { createRecovery } from './recovery.ts'
import { createRecoveryDoor } from './recovery-http.ts'
import { createReplayCache } from './replay-cache.ts'
import { createResetEpochs } from './reset-epochs.ts'
import { createResets } from './resets.ts'
import { createReuseNotice } from './reuse-notice.ts'
import { createSecondFactor } from './second-factor.ts'
import { createSecondStep, type HalfSignedIn } from './second-step.ts'
import { createSessions } from './sessions.ts'
import { createSignIn } from './sign-in.ts'
import { createMakeCustomer, createSignUp } from './sign-up.ts'
import { createSignUps } from './sign-ups.ts'
import { loadSigningKey } from './signing-key.ts'
import { createWebAuthn, loadWebAuthn } from './webauthn.ts'

const defaultLimits: IdentityLimits = {
  beginPerAddress: { burst: 200, everySeconds: 1 },
  signInPerAccount: { burst: 10, everySeconds: 60 },
  signInPerAccountAnywhere: { burst: 100, everySeconds: 20 },
  signInPerAddress: { burst: 100, everySeconds: 2 },
  signUpPerAccount: { burst: 5, everySeconds: 300 },
  signUpPerAccountAnywhere: { burst: 10, everySeconds: 1_800 },
  signUpPerAddress: { burst: 30, everySeconds: 20 },
  recoveryPerAccount: { burst: 3, everySeconds: 300 },
  recoveryPerAccountAnywhere: { burst: 10, everySeconds: 600 },
  recoveryPerAddress: { burst: 20, everySeconds: 30 },
  codePerAccount: { burst: 10, everySeconds: 60 },
  codePerAddress: { burst: 60, everySeconds: 10 },
  letterPerAddressee: { burst: 10, everySeconds: 1_800 },
  mailPerAccount: { burst: 5, everySeconds: 300 },
  enrolmentPerAddress: { burst: 10, everySeconds: 60 },
  hashesAtOnce: 2,
  hashesInLine: 200,
  signUpAnswerMs: 100,
  proofsRemembered: 500_000,
}

const SWEEP_EVERY_MS = 60_000

interface Started {
  issuer: string
  provider: Provider
  callback: ReturnType<Provider['callback']>
  interaction: ReturnType<typeof createInteraction>
  registration: PasskeyRegistration
  passkeyDoor: ReturnType<typeof createPasskeyDoor>
  recoveryDoor: ReturnType<typeof createRecoveryDoor>
}

export function createIdentity(options: IdentityOptions): Identity {
  const { database, keys, vault, clock, log, sendLetter, holds } = options
  const limits = { ...defaultLimits, ...options.limits }
  const issuer = () => new URL(typeof options.issuer === 'string' ? options.issuer : options.issuer()).origin

  const changes = createAccountChanges({ log, bus: options.bus })
  const epochs = createResetEpochs({ database })
  const resets = createResets({ database, clock, log, epochs, bus: options.bus })
  const accounts = createAccounts({ database, keys, clock })
  const notices = createNotices({ database, keys, clock })
  const onReuse = createReuseNotice({ database, notices, changes, sendLetter })
  const presentedInVain = options.presentedInVain ?? noticeNothing
  const artifacts = createArtifacts({
    database,
    keys,
    clock,
    epochs,
    onGrantEnd: changes.sessions,
    onReuse,
    presentedInVain,
  })
  const recoveries = createRecoveries({ database, keys, clock })
  const sessions = createSessions({
    database,
    keys,
    clock,
    accounts,
    artifacts,
    recoveries,
    epochs,
    onEnd: changes.sessions,
  })
  const codes = createMailedCodes({ database, keys, clock, epochs })
  const signUps = createSignUps({ database, keys, clock, epochs })
  const callers = createCallers()
  const passwords = createPasswords({ keys, ...limits, cost: options.passwordCost })
  const rateLimits = createRateLimits({ keys, clock, limits })
  const nonces = createDpopNonces({ clock })
  const replays = createReplayCache({ clock, maxEntries: limits.proofsRemembered })
  const passkeys = createPasskeys({ database, keys, clock })
  const secondFactor = createSecondFactor({ database, keys, clock, vault })
  const waiting = createOneUse<HalfSignedIn>({ database, keys, clock, epochs, kind: 'second-step' })
  const secondStep = createSecondStep({ secondFactor, waiting, limits: rateLimits })
  const challenges = createOneUse<Challenge>({ database, keys, clock, epochs, kind: 'challenge' })
  const tickets = createOneUse<Ticket>({ database, keys, clock, epochs, kind: 'passkey' })
  const firstCodes = createOneUse<Enrolment>({ database, keys, clock, epochs, kind: 'first-operator' })
  const invitations = createOneUse<Enrolment>({ database, keys, clock, epochs, kind: 'operator' })
  const makeCustomer = createMakeCustomer({ vault, accounts })
  const recordAct = options.recordAct ?? recordNothing
  const enrolmentParts = { database, vault, accounts, passkeys, firstCodes, invitations, recordAct }
  const makeOperator = createMakeOperator(enrolmentParts)
  const makeAccount: MakeAccount = (tx, person) =>
    person.for === 'operator' ? makeOperator(tx, person) : makeCustomer(tx, person)
  const signIn = createSignIn({ vault, accounts, passwords, limits: rateLimits, presentedInVain })
  const signUp = createSignUp({
    database,
    vault,
    accounts,
    passwords,
    limits: rateLimits,
    signUps,
    sendLetter,
    answerMs: limits.signUpAnswerMs,
    registration: () => running().registration,
  })
  const care = { database, vault, clock, accounts, codes, notices, changes, limits: rateLimits, sendLetter }
  const recovery = createRecovery({
    ...care,
    presentedInVain,
    passwords,
    recoveries,
    sessions,
    others: {
      checkSecondFactor: secondFactor.check,
      async removeSince(tx, accountId, sinceMs) {
        await passkeys.removeSince(tx, accountId, sinceMs)
        await secondFactor.removeSince(tx, accountId, sinceMs)
      },
    },
    holds,
    answerMs: limits.signUpAnswerMs,
  })
  const { isHeldBack } = recovery
  const emailAddress = createEmailAddress({ ...care, isHeldBack, answerMs: limits.signUpAnswerMs })
  const ownSessions = createOwnSessions({ database, sessions, changes, isHeldBack })
  const enrolment = createEnrolment({
    ...enrolmentParts,
    limits: rateLimits,
    registration: () => running().registration,
  })
  const removal = createAccountRemoval({ vault, accounts, sessions, signUps, changes })
  const operators = createOperators({
    database,
    vault,
    accounts,
    removal,
    endSupport: options.endSupport ?? (async () => {}),
    recordAct,
  })

  let signingKey: JWK | undefined
  let started: Started | undefined
  let sweeper: NodeJS.Timeout | undefined
  let sweeping: Promise<void> = Promise.resolve()
  let refusedRequests = 0

  // Made at the first request, when the public URL is known for certain.
  function running(): Started {
    if (started?.issuer === issuer()) return started
    if (!signingKey) throw new AppError('unavailable', { detail: 'identity has not started' })
    const provider = createProvider({
      issuer: issuer(),
      artifacts,
      accounts,
      keys,
      signingKey,
      sessions,
      callers,
      nonceSecret: nonces.secret,
      onReuse,
      log,
    })
    const webauthn = createWebAuthn({ issuer: issuer() })
    const registration = createPasskeyRegistration({
      issuer: issuer(),
      database,
      clock,
      vault,
      webauthn,
      passkeys,
      accounts,
      sessions,
      tickets,
      challenges,
      makeAccount,
    })
    const interaction = createInteraction({
      provider,
      signIn,
      passkeySignIn: createPasskeySignIn({
        webauthn,
        passkeys,
        accounts,
        challenges,
        limits: rateLimits,
        log,
      }),
      secondStep,
      registration,
      hasPasskey: async (accountId) => (await passkeys.count(accountId)) > 0,
      issuer: issuer(),
      clock,
      log,
    })
    started = {
      issuer: issuer(),
      provider,
      callback: provider.callback(),
      interaction,
      registration,
      passkeyDoor: createPasskeyDoor({ registration, issuer: issuer() }),
      recoveryDoor: createRecoveryDoor({ recovery, issuer: issuer(), log }),
    }
    return started
  }

  const check = createAuthenticate({
    issuer,
    clock,
    replays,
    nonces,
    findAccount: (accountId) => accounts.find(accountId),
    async findToken(token) {
      const found = await running().provider.AccessToken.find(token)
      if (!found?.accountId || !found.clientId || !found.grantId) return undefined
      const { accountId, clientId, grantId, jkt } = found
      return { accountId, clientId, grantId, jkt, ...signInOf(found) }
    },
    async findGrant(grantId) {
      const grant = await running().provider.Grant.find(grantId)
      if (!grant?.accountId || !grant.clientId) return undefined
      return { handle: grantHandle(grantId), accountId: grant.accountId, clientId: grant.clientId }
    },
  })

  function sweep(): void {
    const sweeps = [
      artifacts.sweep(),
      sweepOneUse({ database, clock }),
      codes.sweep(),
      signUps.sweep(),
      recoveries.sweep(),
      notices.sweep(),
    ]
    sweeping = Promise.all(sweeps).then(
      () => {},
      (error) => log.warn('sweeping expired tokens failed; the next round tries again', { error }),
    )
  }

  return {
    ...enrolment,
    operators,
    ...signUp,
    passkeys: {
      list: passkeys.list,
      add: ({ accountId, sessionId }) =>
        running().registration.link({ for: 'account', accountId, sessionId, madeAtMs: clock.nowMs() }),
      async rename(accountId, passkeyId, name) {
        vault.checkName(name)
        await passkeys.rename(accountId, passkeyId, name)
      },
      remove: passkeys.remove,
    },
    secondFactor,
    changePassword: createChangePassword({
      database,
      vault,
      accounts,
      passwords,
      sessions,
      changes,
      limits: rateLimits,
      isHeldBack,
    }),
    ...recovery,
    ...emailAddress,
    ...ownSessions,
    spendForLetterTo: rateLimits.spendForLetterTo,
    eraseAccount: removal.remove,
    resets,
    notices: notices.newest,
    dismissNotice: notices.dismiss,
    onNotice: changes.onNotice,
    async start() {
      // Before anybody can be authenticated: of a reset after that nothing is missed.
      await resets.start()
      signingKey = await loadSigningKey({ database, keys })
      await loadWebAuthn()
      changes.start()
      sweeper = setInterval(sweep, SWEEP_EVERY_MS).unref()
    },
    async close() {
      clearInterval(sweeper)
      changes.close()
      resets.close()
      await sweeping
      await passwords.close()
    },
    handleOAuth: createOAuthHandler({
      provider: () => running().callback,
      interaction: () => running().interaction,
      passkeyDoor: () => running().passkeyDoor,
      recoveryDoor: () => running().recoveryDoor,
      issuer,
      callers,
      spendToBegin: (remoteAddress) => rateLimits.spendForAddress('begin', remoteAddress),
      log,
    }),
    async authenticate(request) {
      try {
        const principal = await check(request)
        await sessions.touch({ ...principal, remoteAddress: request.remoteAddress })
        return principal
      } catch (error) {
        refusedRequests++
        throw error
      }
    },
    dpopNonce: nonces.latest,
    endSession: ({ sessionId }) => artifacts.endGrant(sessionId),
    stats: () => ({
      identity_passwords_hashed: passwords.stats().hashed,
      identity_passwords_waiting: passwords.stats().waiting,
      identity_rate_limited: rateLimits.refused,
      identity_requests_refused: refusedRequests,
      identity_proofs_remembered: replays.size,
    }),
  }
}
