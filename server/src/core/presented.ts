/** Where something was presented. */
export type Door = 'the HTTP API' | 'the token endpoint' | 'sign-in' | 'recovery' | 'a claim' | 'MQTT'

/**
 * Told of what was presented and refused, after the answer is decided. Returns at once and never throws: the caller's
 * answer and its time are the same, whatever it was.
 */
export type PresentedInVain = (door: Door, texts: readonly (string | undefined)[]) => void

/** For a room that stands alone. */
export const noticeNothing: PresentedInVain = () => {}
