/**
 * Whether a sign-in is from before a recovery. A passkey cannot be had by reading somebody's mail: one that the account had
 * before is its owner's, whenever they sign in with it.
 */
export function isBeforeRecovery(
  { beganAtMs, passkeySinceMs }: { beganAtMs: number; passkeySinceMs?: number | undefined },
  { atMs }: { atMs: number },
): boolean {
  return beganAtMs < atMs || (passkeySinceMs !== undefined && passkeySinceMs < atMs)
}
