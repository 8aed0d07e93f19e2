import Type from 'typebox'
import { asId, type DeviceId, type DisputeId, type HouseholdId, Personal } from '../core/index.ts'
import type { Dispute, DisputeFile } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom, role } from './authentication.ts'
import { principalOf } from './principal.ts'
import { Empty, HumanText, Id, strict, Time, time } from './shapes.ts'

const seen = {
  disputeId: Id,
  deviceId: Id,
  state: Type.String({ description: 'waiting, objected, completed, rejected, withdrawn or moot' }),
  openedAt: Time,
  dueAt: Time,
  objection: Type.Optional(Type.String()),
}
const DisputeShape = strict(seen)
const FileShape = strict({ ...seen, openedBy: Id, reason: Type.String(), evidence: Type.String() })
const DisputeParams = strict({ disputeId: Id })
const Text = HumanText(500)

/** The documented way out of a tenure that must be released and is not, from both sides. */
export function disputeRoutes({ app, authenticate, limit, registry }: RouteParts): void {
  const tags = ['operator']
  app.post(
    '/v1/disputes',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'Open a dispute about a device that its household does not release; the household is told',
        tags,
        body: strict({ deviceId: Id, reason: Text, evidence: Text }),
        response: { 201: FileShape },
      },
      preHandler: [role('support')],
    },
    async (request, reply) => {
      const { deviceId, reason, evidence } = request.body
      const file = await registry.openDispute({
        operator: principalOf(request).accountId,
        deviceId: asId<DeviceId>(deviceId),
        reason: new Personal(reason),
        evidence: new Personal(evidence),
      })
      return reply.code(201).send(showFile(file))
    },
  )

  app.get(
    '/v1/disputes',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'The latest hundred disputes, newest first',
        tags,
        querystring: strict({ open: Type.Optional(Type.Boolean({ default: true })) }),
        response: { 200: strict({ disputes: Type.Array(FileShape) }) },
      },
      preHandler: [role('support', 'security')],
    },
    async (request) => {
      const files = await registry.disputes({ open: request.query.open ?? true })
      return { disputes: files.map(showFile) }
    },
  )

  app.post(
    '/v1/disputes/:disputeId/withdraw',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: { summary: 'Withdraw it', tags, params: DisputeParams, response: { 200: Empty } },
      preHandler: [role('support')],
    },
    async (request) => {
      await registry.withdrawDispute(decision(request))
      return {}
    },
  )

  app.post(
    '/v1/disputes/:disputeId/reject',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'Decide it for the household; by a security officer',
        tags,
        params: DisputeParams,
        response: { 200: Empty },
      },
      preHandler: [role('security')],
    },
    async (request) => {
      await registry.rejectDispute(decision(request))
      return {}
    },
  )

  app.post(
    '/v1/disputes/:disputeId/complete',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'End the tenure, when the time is up; by another operator than the one who opened it',
        description: 'When the household has objected, by a security officer.',
        tags,
        params: DisputeParams,
        response: { 200: Empty },
      },
      preHandler: [role('support', 'security')],
    },
    async (request) => {
      const securityOfficer = principalOf(request).roles.includes('security')
      await registry.completeDispute({ ...decision(request), securityOfficer })
      return {}
    },
  )

  app.get(
    '/v1/households/:householdId/disputes',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Disputes about devices that the household holds',
        tags: ['household'],
        params: strict({ householdId: Id }),
        response: { 200: strict({ disputes: Type.Array(DisputeShape) }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const householdId = asId<HouseholdId>(request.params.householdId)
      const disputes = await registry.householdDisputes(principalOf(request).accountId, householdId)
      return { disputes: disputes.map(show) }
    },
  )

  app.post(
    '/v1/households/:householdId/disputes/:disputeId/objection',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Object: then a security officer of the maker decides',
        tags: ['household'],
        params: strict({ householdId: Id, disputeId: Id }),
        body: strict({ objection: Text }),
        response: { 200: Empty },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      await registry.objectToDispute({
        accountId: principalOf(request).accountId,
        householdId: asId<HouseholdId>(request.params.householdId),
        disputeId: asId<DisputeId>(request.params.disputeId),
        objection: new Personal(request.body.objection),
      })
      return {}
    },
  )
}

function decision(request: Parameters<typeof principalOf>[0] & { params: { disputeId: string } }) {
  return {
    operator: principalOf(request).accountId,
    disputeId: asId<DisputeId>(request.params.disputeId),
  }
}

function show(dispute: Dispute): Type.Static<typeof DisputeShape> {
  const { disputeId, deviceId, state, openedAtMs, dueAtMs, objection } = dispute
  return {
    disputeId,
    deviceId,
    state,
    openedAt: time(openedAtMs),
    dueAt: time(dueAtMs),
    ...(objection === undefined ? {} : { objection: objection.reveal() }),
  }
}

function showFile(file: DisputeFile): Type.Static<typeof FileShape> {
  const { openedBy, reason, evidence } = file
  return { ...show(file), openedBy, reason: reason.reveal(), evidence: evidence.reveal() }
}
