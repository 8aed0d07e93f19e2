import type { ClientMetadata } from 'oidc-provider'
import type { AccountKind } from './face.ts'

interface FirstPartyClient {
  clientId: string
  title: string
  /** The only kind of account that signs in through this client. */
  kind: AccountKind
}

const clients: readonly FirstPartyClient[] = [
  { clientId: 'hearthlock-cli', title: 'the hearthlock command', kind: 'customer' },
  { clientId: 'hearthlock-operator-cli', title: 'the hearthlock command, as an operator', kind: 'operator' },
]

export function clientOf(clientId: unknown): FirstPartyClient | undefined {
  return clients.find((client) => client.clientId === clientId)
}

/** Public native clients (RFC 8252): code with PKCE, DPoP, back to a loopback address on any port. */
export const clientMetadata: ClientMetadata[] = clients.map(({ clientId, title }) => ({
  client_id: clientId,
  client_name: title,
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  response_modes: ['query'],
  redirect_uris: ['http://127.0.0.1/callback'],
  dpop_bound_access_tokens: true,
  id_token_signed_response_alg: 'ES256',
}))
