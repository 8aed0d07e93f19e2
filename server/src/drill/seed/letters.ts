import type { Client } from '../../client/index.ts'
import { AppError, type Personal, Secret } from '../../core/index.ts'

/** Codes of five and five characters, as letters have them. */
const MAILED_CODE = /\b[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}\b/

/**
 * The code in the newest letter of this kind, read as a support operator reads it while no mail server is configured.
 * @throws AppError unavailable
 */
export async function letterCode(operator: Client, to: Personal, kind: string): Promise<Secret> {
  const { letters } = await operator.request<{ letters: { letterId: string; kind: string }[] }>(
    'GET',
    '/v1/outbox',
  )
  for (const letter of letters.filter((each) => each.kind === kind)) {
    const path = `/v1/outbox/${encodeURIComponent(letter.letterId)}`
    const shown = await operator.request<{ to: string; text: string }>('GET', path)
    const code = shown.to === to.reveal() && MAILED_CODE.exec(shown.text)?.[0]
    if (code) return new Secret(code)
  }
  throw new AppError('unavailable', { message: 'A letter of the drill did not come.' })
}

/** Answers the code that made the account. */
export async function signUp(
  client: Client,
  operator: Client,
  person: { email: Personal; name: Personal; password: Secret },
): Promise<Secret> {
  const { signUpId } = await client.signUp(person)
  const code = await letterCode(operator, person.email, 'sign_up')
  await client.confirmSignUp({ signUpId, code })
  return code
}
