import { type Client, isClientError, patiently } from '../client/index.ts'
import { AppError, type Personal, Secret } from '../core/index.ts'

/**
 * Signs up somebody whose address is nobody's, and whose letter an operator therefore reads in the outbox: in a demonstration
 * or a simulation.
 * @throws AppError conflict where letters are sent
 */
export async function signUpByOutbox(o: {
  customer: Client
  /** With role support. */
  operator: Client
  person: { email: Personal; name: Personal; password: Secret }
}): Promise<void> {
  await checkOutbox(o.operator)
  const { signUpId } = await patiently(() => o.customer.signUp(o.person))
  const code = await codeFor(o.operator, o.person.email)
  await patiently(() => o.customer.confirmSignUp({ signUpId, code }))
}

interface OutboxShape {
  sends: boolean
  letters: { letterId: string; kind: string }[]
}

const outboxOf = (operator: Client) => patiently(() => operator.request<OutboxShape>('GET', '/v1/outbox'))

/** Before anything is asked for: letters to made-up addresses do not leave this machine. */
async function checkOutbox(operator: Client): Promise<void> {
  const { sends } = await outboxOf(operator).catch((cause) => {
    if (!isClientError(cause, 'not_found')) throw cause
    const message = 'Made-up customers need an operator with role support, who reads the codes in the outbox.'
    throw new AppError('conflict', { message, cause })
  })
  if (sends) {
    throw new AppError('conflict', {
      message:
        'Letters are sent by SMTP here: made-up customers cannot confirm their addresses. Leave HEARTHLOCK_SMTP_URL out.',
    })
  }
}

/** The newest letter to this address. */
async function codeFor(operator: Client, email: Personal): Promise<Secret> {
  const { letters } = await outboxOf(operator)
  for (const { letterId, kind } of letters) {
    if (kind !== 'sign_up') continue
    const { to, text } = await patiently(() =>
      operator.request<{ to: string; text: string }>('GET', `/v1/outbox/${letterId}`),
    )
    const code = to === email.reveal() && /[0-9A-Z]{5}-[0-9A-Z]{5}/.exec(text)?.[0]
    if (code) return new Secret(code)
  }
  throw new AppError('unavailable', { message: 'The letter of the sign-up is not in the outbox.' })
}
