import { type AccountId, AppError, type Secret } from '../core/index.ts'
import type { OneUse } from './one-use.ts'
import type { RateLimits } from './rate-limits.ts'
import type { SecondFactor } from './second-factor.ts'
import type { SignedIn } from './sign-in.ts'

/** A sign-in whose password was right, and which waits for the code. */
export interface HalfSignedIn {
  accountId: AccountId
  /** When the person began to prove who they are: what has been replaced since counts no more. */
  beganAtMs: number
}

type Begun = SignedIn & { beganAtMs: number }

/** The code after the password, within one sign-in. */
export interface SecondStep {
  /** @throws AppError second_factor_needed when the sign-in has to go on with a code */
  after(interaction: string, signedIn: Begun): Promise<Begun>
  waits(interaction: string): Promise<boolean>
  /** @throws AppError second_factor_needed, sign_in_refused (the password comes first), rate_limited */
  finish(interaction: string, code: Secret, remoteAddress: string | undefined): Promise<Begun>
}

const VALID_SECONDS = 5 * 60

export function createSecondStep(o: {
  secondFactor: SecondFactor
  waiting: OneUse<HalfSignedIn>
  limits: RateLimits
}): SecondStep {
  return {
    async after(interaction, signedIn) {
      // A passkey is two factors by itself: the device, and what its owner showed to it.
      if (!signedIn.methods.includes('pwd') || !(await o.secondFactor.isOn(signedIn.accountId)))
        return signedIn
      const { accountId, beganAtMs } = signedIn
      await o.waiting.put(interaction, { accountId, beganAtMs }, VALID_SECONDS)
      throw new AppError('second_factor_needed')
    },
    waits: async (interaction) => (await o.waiting.look(interaction)) !== undefined,
    async finish(interaction, code, remoteAddress) {
      o.limits.spendForAddress('signIn', remoteAddress)
      const half = await o.waiting.look(interaction)
      if (!half) throw passwordFirst()
      await o.secondFactor.check(half.accountId, code)
      if (!(await o.waiting.take(interaction))) throw passwordFirst()
      return { ...half, methods: ['pwd', 'otp'] }
    },
  }
}

function passwordFirst(): AppError {
  return new AppError('sign_in_refused', { message: 'That took too long. Enter the password again.' })
}
