/** How much one address, one account and everybody together may ask. All are per process. */
export interface ApiLimits {
  /** Before authentication, every route together. */
  requestsPerMinutePerAddress: number
  requestsPerMinutePerAccount: number
  /** Requests with a token or proof that was refused. */
  refusedTokensPerMinutePerAddress: number
  signUpsPer10MinutesPerAddress: number
  /** Posted sign-in forms: guessing of passwords. */
  signInsPerMinutePerAddress: number
  /** Enrolment codes are one-use and random; this only keeps guessing from costing Argon2 time. */
  operatorEnrolmentsPer10MinutesPerAddress: number
  /** Claims with a code that was refused: guessing. An installer who claims many devices is not held up. */
  refusedClaimsPer10MinutesPerAccount: number
  refusedClaimsPer10MinutesPerAddress: number
  /** Codes of invitations, and those that support says, that were refused: guessing. */
  refusedCodesPer10MinutesPerAccount: number
  refusedCodesPer10MinutesPerAddress: number
  /** Letters to addresses that have not asked for them. */
  invitationLettersPerDayPerAccount: number
  /** Each reads everything that an account has. */
  exportsPerHourPerAccount: number
  commandsPerMinutePerAccount: number
  liveStreams: number
  liveStreamsPerAccount: number
  /** Bytes waiting in one live stream's socket before it is cut as too slow. */
  liveBacklogBytes: number
  liveHeartbeatSeconds: number
  /** A stream ends after this time, so that its caller shows a fresh token: at most an access token's lifetime. */
  liveSessionSeconds: number
  /** After a reset, how many void streams are ended in a second. */
  resetEndsPerSecond: number
  connections: number
  /** Open connections from one address, trusted proxies excepted: one stranger does not take all of them. */
  connectionsPerAddress: number
  bodyBytes: number
  provisioningBodyBytes: number
  headerBytes: number
  /** For a whole request to arrive. */
  requestSeconds: number
  /** Silence on a socket. Longer than a heartbeat and than the longest Prefer: wait. */
  idleSeconds: number
  /** For requests in flight when the server closes. */
  closeGraceSeconds: number
}

export const defaultLimits: ApiLimits = {
  requestsPerMinutePerAddress: 12_000,
  requestsPerMinutePerAccount: 6_000,
  refusedTokensPerMinutePerAddress: 120,
  signUpsPer10MinutesPerAddress: 30,
  signInsPerMinutePerAddress: 30,
  operatorEnrolmentsPer10MinutesPerAddress: 10,
  refusedClaimsPer10MinutesPerAccount: 20,
  refusedClaimsPer10MinutesPerAddress: 100,
  refusedCodesPer10MinutesPerAccount: 10,
  refusedCodesPer10MinutesPerAddress: 100,
  invitationLettersPerDayPerAccount: 20,
  exportsPerHourPerAccount: 10,
  commandsPerMinutePerAccount: 1_200,
  liveStreams: 5_000,
  liveStreamsPerAccount: 16,
  liveBacklogBytes: 262_144,
  liveHeartbeatSeconds: 15,
  liveSessionSeconds: 300,
  resetEndsPerSecond: 200,
  connections: 10_000,
  connectionsPerAddress: 1_000,
  bodyBytes: 65_536,
  provisioningBodyBytes: 2_097_152,
  headerBytes: 16_384,
  requestSeconds: 30,
  idleSeconds: 75,
  closeGraceSeconds: 5,
}
