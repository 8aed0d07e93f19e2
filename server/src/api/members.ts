import Type from 'typebox'
import { type AccountId, asId, type HouseholdId } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { namePeople, PersonShape } from './person-shape.ts'
import { principalOf } from './principal.ts'
import { NewRoleShape, readNewRole, roleShape, showGuest } from './role-shape.ts'
import { Id, strict } from './shapes.ts'

const MemberParams = strict({ householdId: Id, accountId: Id })
const tags = ['household']

export function memberRoutes({ app, authenticate, limit, registry, vault }: RouteParts): void {
  const about = (params: { householdId: string; accountId: string }, accountId: AccountId) => ({
    accountId,
    householdId: asId<HouseholdId>(params.householdId),
    memberId: asId<AccountId>(params.accountId),
  })

  app.get(
    '/v1/households/:householdId/members',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Who is in the household; for its owners and adults',
        tags,
        params: strict({ householdId: Id }),
        response: {
          200: strict({ members: Type.Array(strict({ ...PersonShape.properties, ...roleShape })) }),
        },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const householdId = asId<HouseholdId>(request.params.householdId)
      const members = await registry.members(principalOf(request).accountId, householdId)
      const person = await namePeople(
        vault,
        members.map(({ accountId }) => accountId),
      )
      return {
        members: members.map(({ accountId, role, guest }) => ({
          ...person(accountId),
          role,
          ...(guest ? { guest: showGuest(guest) } : {}),
        })),
      }
    },
  )

  app.put(
    '/v1/households/:householdId/members/:accountId',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: "Make a member an adult or a guest, or change a guest's times and devices",
        tags,
        params: MemberParams,
        body: strict(NewRoleShape),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const of = about(request.params, principalOf(request).accountId)
      await registry.changeMember({ ...of, to: readNewRole(request.body) })
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/households/:householdId/members/:accountId',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Remove a member; with the own account: leave',
        tags,
        params: MemberParams,
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      await registry.removeMember(about(request.params, principalOf(request).accountId))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/households/:householdId/hand-over',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Make an adult own the household',
        tags,
        params: strict({ householdId: Id }),
        body: strict({
          accountId: Id,
          remains: Type.Union([Type.Literal('owner'), Type.Literal('adult')], {
            description: 'What the caller is from then on',
          }),
        }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const { accountId: memberId, remains } = request.body
      const params = { householdId: request.params.householdId, accountId: memberId }
      await registry.handOver({ ...about(params, principalOf(request).accountId), remains })
      return reply.code(204).send(null)
    },
  )
}
