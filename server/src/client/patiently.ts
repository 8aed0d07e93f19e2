import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from './client.ts'
import { isClientError } from './client-error.ts'

/** A server that stays busy for so many tries is not going to answer. */
const BUSY_TRIES = 20

/** Does as the server asks: waits when it says for how long. */
export async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (let busy = 0; ; ) {
    try {
      return await act()
    } catch (error) {
      if (!isClientError(error)) throw error
      if (error.code === 'unavailable') busy += 1
      else if (error.code !== 'rate_limited') throw error
      if (busy > BUSY_TRIES) throw error
      await delay((error.retryAfterSeconds ?? 1) * 1_000)
    }
  }
}

/** A client that waits so with all that is asked and answered at once. */
export function patient(client: Client): Client {
  return {
    ...client,
    signUp: (person) => patiently(() => client.signUp(person)),
    confirmSignUp: (signUp) => patiently(() => client.confirmSignUp(signUp)),
    enrolOperator: (person) => patiently(() => client.enrolOperator(person)),
    signIn: (request) => patiently(() => client.signIn(request)),
    request: <T>(...asked: Parameters<Client['request']>) => patiently(() => client.request<T>(...asked)),
  }
}
