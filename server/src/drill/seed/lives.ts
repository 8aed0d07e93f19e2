import type { Client, SessionStore } from '../../client/index.ts'
import { Personal, Secret } from '../../core/index.ts'
import type { Known } from '../known.ts'
import { knownOf, type MarkedHousehold, markedHousehold } from './cast.ts'
import { letterCode, signUp } from './letters.ts'
import type { Owner, Provisioned, Spent } from './shapes.ts'

interface Life {
  households: MarkedHousehold[]
  owners: Owner[]
  operator: { client: Client }
  newClient: () => { client: Client; store: SessionStore }
  locks: Provisioned[]
  bulbs: Provisioned[]
  known: Known[]
  secret: (whose: string, value: string) => void
  spent: Spent[]
}

/** What people do with each other and with their devices, by the public doors. */
export async function live({
  households,
  owners,
  operator,
  newClient,
  locks,
  bulbs,
  known,
  secret,
  spent,
}: Life): Promise<void> {
  const [first, second] = [owners[0], owners[1]] as [Owner, Owner]
  const [one, two] = [households[0], households[1]] as [MarkedHousehold, MarkedHousehold]
  const use = (what: string, kind: Spent['kind'], value: string) => {
    secret(one.whose, value)
    spent.push({ what, kind, value: new Secret(value) })
  }

  // Sharing: a guest comes by invitation.
  const guest = { ...markedHousehold(households.length + 1), whose: 'a guest' }
  known.push(...knownOf(guest))
  const visitor = newClient()
  use(
    'a mailed code that was used',
    'mailed code',
    (await signUp(visitor.client, operator.client, guest)).reveal(),
  )
  await visitor.client.signIn({ clientId: 'hearthlock-cli', ...guest })
  const invitation = await first.client.request<{ code: string }>(
    'POST',
    `/v1/households/${first.householdId}/invitations`,
    {
      body: { role: 'adult' },
    },
  )
  await visitor.client.request('POST', '/v1/invitations/accept', { body: { code: invitation.code } })
  use('an invitation that was used', 'invitation', invitation.code)
  const open = await first.client.request<{ code: string }>(
    'POST',
    `/v1/households/${first.householdId}/invitations`,
    {
      body: { role: 'adult' },
    },
  )
  secret(one.whose, open.code)

  // Commands, one of them with a code that somebody types at a door.
  const lock = locks[0]?.deviceId ?? ''
  const bulb = bulbs[0]?.deviceId ?? ''
  const wait = { prefer: 'wait=5' }
  await first.client.request('POST', `/v1/devices/${bulb}/commands`, {
    body: { command: 'OnOff.On' },
    headers: wait,
  })
  const pin = Buffer.from(one.pin.reveal()).toString('base64')
  await first.client.request('POST', `/v1/devices/${lock}/commands`, {
    body: { command: 'DoorLock.UnlockDoor', arguments: { PinCode: pin } },
    headers: wait,
  })

  // A device changes hands.
  const offer = await first.client.request<{ code: string }>('POST', `/v1/devices/${bulb}/transfer-offers`, {
    body: { history: 'keep' },
  })
  await second.client.request('POST', `/v1/households/${second.householdId}/transfers`, {
    body: { code: offer.code, nickname: two.nicknames[0].reveal() },
  })
  use('a transfer code that was used', 'transfer code', offer.code)

  // Support is let in; a dispute is opened, in words.
  const asked = await operator.client.request<{ code: string }>('POST', '/v1/operator/access-requests')
  secret('the operator', asked.code)
  const reason = `Reason of the drill ${one.serialNumber.reveal()}`
  known.push({ kind: 'content', whose: one.whose, value: new Personal(reason) })
  await operator.client.request('POST', '/v1/disputes', {
    body: { deviceId: lock, reason, evidence: reason },
  })

  // An account is recovered half-way.
  await first.client.request('POST', '/v1/recovery', { body: { email: two.email.reveal() }, signedIn: false })
  secret(two.whose, (await letterCode(operator.client, two.email, 'recovery_code')).reveal())

  // A second factor is begun, everything is exported, a session is renewed, and another one ends.
  const factor = await second.client.request<{ secret: string }>('POST', '/v1/me/second-factor')
  secret(two.whose, factor.secret)
  for await (const piece of await first.client.download('/v1/me/export')) void piece
  const session = await first.store.load()
  if (session) {
    use('an access token from before a renewal', 'access token', session.accessToken.reveal())
    await first.store.save({ ...session, accessExpiresAtMs: 0 })
  }
  await first.client.request('GET', '/v1/me')
  const ended = newClient()
  await ended.client.signIn({ clientId: 'hearthlock-cli', ...one })
  const former = await ended.store.load()
  if (former) {
    use('the access token of a session that ended', 'access token', former.accessToken.reveal())
    use('the refresh token of a session that ended', 'refresh token', former.refreshToken.reveal())
  }
  await ended.client.signOut()
}
