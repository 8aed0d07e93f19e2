/** Time, injected: tests move it, nothing sleeps on it. Milliseconds since the epoch. */
export interface Clock {
  nowMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now() }
