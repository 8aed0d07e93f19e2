import Type from 'typebox'
import { asId, type HouseholdId, type InvitationId, Personal, Secret } from '../core/index.ts'
import type { Invitation } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { namePeople, type Person, PersonShape } from './person-shape.ts'
import { principalOf } from './principal.ts'
import { NewRoleShape, readNewRole, roleShape, showGuest } from './role-shape.ts'
import { Id, strict, Time, time } from './shapes.ts'
import { Email } from './sign-up.ts'

const InvitationShape = { invitationId: Id, by: PersonShape, ...roleShape, expiresAt: Time }
const HouseholdParams = strict({ householdId: Id })
export const OneUseCode = Type.String({ minLength: 16, maxLength: 64, examples: ['7K2M-9QXD-4T1V-H8CW'] })
const tags = ['household']

export function invitationRoutes({
  app,
  authenticate,
  limit,
  identity,
  registry,
  vault,
  url,
}: RouteParts): void {
  app.post(
    '/v1/households/:householdId/invitations',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Invite somebody: a one-use code, and a link that holds it. They are shown this once',
        tags,
        params: HouseholdParams,
        body: strict({
          ...NewRoleShape,
          hours: Type.Optional(Type.Integer({ minimum: 1, maximum: 168, description: '72 unless said' })),
          email: Type.Optional(Email),
        }),
        response: { 201: strict({ ...InvitationShape, code: Type.String(), link: Type.String() }) },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const { accountId } = principalOf(request)
      const { hours = 72, email, ...role } = request.body
      const mailTo = email === undefined ? undefined : new Personal(email)
      if (mailTo) {
        vault.checkEmail(mailTo)
        identity.spendForLetterTo(mailTo)
        await limit.invitationLetters.call(app, request, reply)
      }
      const { invitation, code } = await registry.invite({
        accountId,
        householdId: asId<HouseholdId>(request.params.householdId),
        as: readNewRole(role),
        hours,
        mailTo,
      })
      const person = await namePeople(vault, [invitation.by])
      return reply.code(201).send({
        ...show(invitation, person),
        code: code.reveal(),
        // After the #: browsers send it to nobody, and no log on the way has it.
        link: `${url()}/join#${code.reveal()}`,
      })
    },
  )

  app.get(
    '/v1/households/:householdId/invitations',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Open invitations',
        tags,
        params: HouseholdParams,
        response: { 200: strict({ invitations: Type.Array(strict(InvitationShape)) }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const householdId = asId<HouseholdId>(request.params.householdId)
      const invitations = await registry.invitations(principalOf(request).accountId, householdId)
      const person = await namePeople(
        vault,
        invitations.map(({ by }) => by),
      )
      return { invitations: invitations.map((invitation) => show(invitation, person)) }
    },
  )

  app.delete(
    '/v1/households/:householdId/invitations/:invitationId',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Revoke an invitation',
        tags,
        params: strict({ householdId: Id, invitationId: Id }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      await registry.revokeInvitation({
        accountId: principalOf(request).accountId,
        householdId: asId<HouseholdId>(request.params.householdId),
        invitationId: asId<InvitationId>(request.params.invitationId),
      })
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/invitations/accept',
    {
      onRequest: [authenticate.customer, limit.perAccount, limit.refusedCodes.check],
      schema: {
        summary: 'Come into a household with the code of an invitation',
        tags,
        body: strict({ code: OneUseCode }),
        response: { 200: strict({ householdId: Id, name: Type.String(), role: Type.String() }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const { accountId } = principalOf(request)
      const householdId = await limit.refusedCodes.counting(request, () =>
        registry.acceptInvitation(accountId, new Secret(request.body.code)),
      )
      const { name, role } = await registry.household(accountId, householdId)
      return { householdId, name: name.reveal(), role }
    },
  )
}

function show({ invitationId, by, as, expiresAtMs }: Invitation, person: (id: Invitation['by']) => Person) {
  return {
    invitationId,
    by: person(by),
    role: as.role,
    ...(as.role === 'guest' ? { guest: showGuest(as.guest) } : {}),
    expiresAt: time(expiresAtMs),
  }
}
