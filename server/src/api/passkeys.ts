import Type from 'typebox'
import { Personal } from '../core/index.ts'
import type { PasskeyLink, PasskeyView } from '../identity/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom, freshSignIn, notHeldBack } from './authentication.ts'
import { principalOf } from './principal.ts'
import { HumanText, Id, strict, Time, time } from './shapes.ts'

const PasskeyShape = strict({
  passkeyId: Id,
  name: Type.String(),
  synced: Type.Boolean({ description: 'A password manager may copy it to other devices' }),
  addedAt: Time,
  usedAt: Type.Optional(Time),
})
export const PasskeyLinkShape = strict({
  url: Type.String({
    description: 'Open it in a browser. Whoever has it can make the passkey: it is a secret.',
  }),
  expiresAt: Time,
})
const PasskeyParams = strict({ passkeyId: Id })
const tags = ['account']

/** The caller's own passkeys. What changes who can come in needs a fresh sign-in. */
export function passkeyRoutes({ app, authenticate, limit, identity, clock }: RouteParts): void {
  app.get(
    '/v1/me/passkeys',
    {
      onRequest: [authenticate.anybody, limit.perAccount],
      schema: {
        summary: 'The passkeys of the account',
        tags,
        response: { 200: strict({ passkeys: Type.Array(PasskeyShape) }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const passkeys = await identity.passkeys.list(principalOf(request).accountId)
      return { passkeys: passkeys.map(show) }
    },
  )

  app.post(
    '/v1/me/passkeys',
    {
      onRequest: [authenticate.anybody, limit.perAccount],
      schema: {
        summary: 'A link by which a browser adds a passkey: one use, ten minutes',
        tags,
        response: { 201: PasskeyLinkShape },
      },
      preHandler: [freshSignIn(clock), byRoom],
    },
    async (request, reply) => {
      const link = await identity.passkeys.add(principalOf(request))
      return reply.code(201).send(showLink(link))
    },
  )

  app.patch(
    '/v1/me/passkeys/:passkeyId',
    {
      onRequest: [authenticate.anybody, limit.perAccount],
      schema: {
        summary: 'Rename a passkey',
        tags,
        params: PasskeyParams,
        body: strict({ name: HumanText(60) }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const name = new Personal(request.body.name)
      await identity.passkeys.rename(principalOf(request).accountId, request.params.passkeyId, name)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/me/passkeys/:passkeyId',
    {
      onRequest: [authenticate.anybody, limit.perAccount],
      schema: {
        summary: 'Remove a passkey; the last way into the account stays',
        tags,
        params: PasskeyParams,
        response: { 204: Type.Null() },
      },
      preHandler: [freshSignIn(clock), notHeldBack(identity), byRoom],
    },
    async (request, reply) => {
      await identity.passkeys.remove(principalOf(request).accountId, request.params.passkeyId)
      return reply.code(204).send(null)
    },
  )
}

function show({
  passkeyId,
  name,
  synced,
  addedAtMs,
  usedAtMs,
}: PasskeyView): Type.Static<typeof PasskeyShape> {
  return {
    passkeyId,
    name: name.reveal(),
    synced,
    addedAt: time(addedAtMs),
    ...(usedAtMs === undefined ? {} : { usedAt: time(usedAtMs) }),
  }
}

export function showLink({ url, expiresAtMs }: PasskeyLink): Type.Static<typeof PasskeyLinkShape> {
  return { url: url.reveal(), expiresAt: time(expiresAtMs) }
}
