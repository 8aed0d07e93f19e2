import { signUpByOutbox } from '../../server/src/cli/sign-up-by-outbox.ts'
import {
  type Client,
  createClient,
  memorySessionStore,
  type SoftwarePasskey,
} from '../../server/src/client/index.ts'
import { Personal, Secret } from '../../server/src/core/index.ts'

const PASSWORD = new Secret('a password for the bench')
/** The first operator's, who is there once for each database. */
export type OperatorPasskey = SoftwarePasskey

/** Becomes the first operator, with the code that a start printed. */
export async function enrolOperator(url: string, printed: string): Promise<OperatorPasskey> {
  const code = new Secret(/--code (\S+)/.exec(printed)?.[1] ?? '')
  const client = createClient({ baseUrl: url, store: memorySessionStore() })
  const email = new Personal('operator@example.org')
  return await client.makePasskey(await client.enrolOperator({ code, email, name: new Personal('Bench') }))
}

/** A customer who has signed up, confirmed the address and signed in. */
export async function newCustomer(url: string, passkey: OperatorPasskey, email: string): Promise<Client> {
  const [operator, customer] = [1, 2].map(() =>
    createClient({ baseUrl: url, store: memorySessionStore() }),
  ) as [Client, Client]
  await operator.signIn({ clientId: 'hearthlock-operator-cli', passkey })
  const person = { email: new Personal(email), name: new Personal('Bench'), password: PASSWORD }
  await signUpByOutbox({ customer, operator, person })
  await operator.signOut()
  await customer.signIn({ clientId: 'hearthlock-cli', email: person.email, password: PASSWORD })
  return customer
}
