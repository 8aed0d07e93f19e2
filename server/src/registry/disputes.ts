import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type DeviceId,
  type DisputeId,
  isAppError,
  newId,
  Personal,
  type RecordAct,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Access } from './access.ts'
import type { Changes } from './changes.ts'
import { isViolation } from './database-error.ts'
import type { DisputeFile, DisputeProcess, DisputeState } from './dispute-face.ts'
import type { Tenure } from './face.ts'
import type { HouseholdEvent } from './household-event.ts'
import type { HouseholdLog } from './household-log.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import type { RegistryTables } from './tables.ts'
import type { TenureEndings } from './tenure-endings.ts'
import { lockCurrentTenure, lockHouseholds } from './tenure-locks.ts'
import { TENURE_COLUMNS } from './tenure-row.ts'

const DAY_MS = 86_400_000
const MAX_TEXT = 500
const MAX_LISTED = 100
/** Three texts of four bytes a character, and what is around them. */
const CONTENT_BYTES = 8192

/** What is sealed of a dispute: everything. */
interface Content {
  state: Exclude<DisputeState, 'moot'>
  openedBy: AccountId
  decidedBy?: AccountId
  openedAtMs: number
  dueAtMs: number
  reason: string
  evidence: string
  objection?: string
}

const contentPlace = (id: DisputeId) => place('registry.dispute.content', id)

export function createDisputes(d: {
  database: Database
  keys: Keys
  clock: Clock
  access: Access
  endings: TenureEndings
  householdLog: HouseholdLog
  changes: Changes
  waitDays: number
  recordAct: RecordAct
}): DisputeProcess {
  const { database, keys, clock, access, endings, householdLog, changes } = d

  function rows(tx?: Tx) {
    return (tx ?? database.queries)
      .withTables<RegistryTables>()
      .selectFrom('registry.dispute as dispute')
      .innerJoin('registry.tenure as tenure', 'tenure.tenure_id', 'dispute.tenure_id')
      .innerJoin('registry.household as household', 'household.household_id', 'tenure.household_id')
      .select(TENURE_COLUMNS)
      .select(['dispute.dispute_id', 'dispute.open', 'dispute.content'])
      .select('household.key_id as household_key_id')
  }
  type Row = Awaited<ReturnType<ReturnType<typeof rows>['executeTakeFirstOrThrow']>>

  async function open(row: Row, tx?: Tx): Promise<Content> {
    const key = await keys.open(row.household_key_id, tx)
    return parseJson(key.unseal(contentPlace(row.dispute_id), row.content))
  }

  async function view(row: Row): Promise<DisputeFile> {
    const { state, openedBy, openedAtMs, dueAtMs, reason, evidence, objection } = await open(row)
    const undecided = state === 'waiting' || state === 'objected'
    return {
      disputeId: row.dispute_id,
      deviceId: row.device_id,
      state: undecided && !row.open ? 'moot' : state,
      openedAtMs,
      dueAtMs,
      objection: objection === undefined ? undefined : new Personal(objection),
      openedBy,
      reason: new Personal(reason),
      evidence: new Personal(evidence),
    }
  }

  /** The documents of a household that was erased went with its key. */
  async function viewUnlessErased(row: Row): Promise<DisputeFile | undefined> {
    try {
      return await view(row)
    } catch (error) {
      if (isAppError(error, 'not_found')) return undefined
      throw error
    }
  }

  async function held(deviceId: DeviceId) {
    return database.queries
      .withTables<RegistryTables>()
      .selectFrom('registry.tenure as tenure')
      .innerJoin('registry.device as device', 'device.device_id', 'tenure.device_id')
      .innerJoin('registry.model as model', 'model.model_id', 'device.model_id')
      .select(TENURE_COLUMNS)
      .select('model.definition')
      .where('tenure.device_id', '=', deviceId)
      .where('tenure.ended_hour', 'is', null)
      .executeTakeFirst()
  }

  /**
   * One step of an open dispute, with everything locked that it may change. The work says how the dispute stands after
   * it, and what the household's log says of it; it throws where the step is not due.
   */
  async function step<T>(
    { disputeId, operator }: { disputeId: DisputeId; operator?: AccountId },
    work: (
      tx: Tx,
      tenure: Tenure,
      content: Content,
    ) => Promise<{ after: Content; event?: HouseholdEvent; answer: T }>,
  ): Promise<T> {
    const seen = await rows().where('dispute.dispute_id', '=', disputeId).executeTakeFirst()
    if (!seen) throw new AppError('not_found')
    return database.transaction(async (tx) => {
      await lockHouseholds(tx, [seen.household_id])
      const tenure = await lockCurrentTenure(tx, seen.tenure_id)
      const row = await rows(tx).where('dispute.dispute_id', '=', disputeId).executeTakeFirstOrThrow()
      if (!tenure || !row.open) throw conflict('The dispute has been decided.')
      const { after, event, answer } = await work(tx, tenure, await open(row, tx))
      const key = await keys.open(row.household_key_id, tx)
      await tx
        .withTables<RegistryTables>()
        .updateTable('registry.dispute')
        .set({
          open: after.state === 'waiting' || after.state === 'objected',
          content: key.seal(contentPlace(disputeId), paddedJson(after, CONTENT_BYTES)),
        })
        .where('dispute_id', '=', disputeId)
        .execute()
      if (event) await householdLog.append(tx, tenure.householdId, event)
      if (operator) await record(tx, { operator, disputeId }, after.state)
      return answer
    })
  }

  async function record(
    tx: Tx,
    { operator, disputeId }: { operator: AccountId; disputeId: DisputeId },
    how: string,
  ): Promise<void> {
    const subject = { kind: 'dispute', id: disputeId }
    await d.recordAct(tx, { actor: operator, act: `disputes.${how}`, subject })
  }

  const decide =
    (kind: 'withdrawn' | 'rejected') => (request: { operator: AccountId; disputeId: DisputeId }) =>
      step(request, async (_tx, { deviceId }, content) => ({
        after: { ...content, state: kind, decidedBy: request.operator },
        event: { kind: `dispute_${kind}` as const, deviceId },
        answer: undefined,
      }))

  return {
    async openDispute({ operator, deviceId, reason, evidence }) {
      const row = await held(deviceId)
      if (!row) throw new AppError('not_found')
      if (row.definition.claimPolicy !== 'release-required') {
        throw conflict('Devices of this model need no dispute: a physical reset ends the tenure.')
      }
      const openedAtMs = clock.nowMs()
      const content: Content = {
        state: 'waiting',
        openedBy: operator,
        openedAtMs,
        dueAtMs: openedAtMs + d.waitDays * DAY_MS,
        reason: checkText('The reason', reason),
        evidence: checkText('The evidence', evidence),
      }
      const disputeId = newId<DisputeId>()
      await database
        .transaction(async (tx) => {
          await lockHouseholds(tx, [row.household_id])
          if (!(await lockCurrentTenure(tx, row.tenure_id))) throw new AppError('not_found')
          const key = await endings.householdKey(row.household_id, tx)
          await tx
            .withTables<RegistryTables>()
            .insertInto('registry.dispute')
            .values({
              dispute_id: disputeId,
              tenure_id: row.tenure_id,
              open: true,
              content: key.seal(contentPlace(disputeId), paddedJson(content, CONTENT_BYTES)),
            })
            .execute()
          const { dueAtMs } = content
          await householdLog.append(tx, row.household_id, { kind: 'dispute_opened', deviceId, dueAtMs })
          await record(tx, { operator, disputeId }, 'opened')
        })
        .catch((error: unknown) => {
          throw isViolation(error, 'unique')
            ? conflict('A dispute about this device is open already.')
            : error
        })
      return view(await rows().where('dispute.dispute_id', '=', disputeId).executeTakeFirstOrThrow())
    },

    async disputes({ open: openOnly }) {
      let query = rows().orderBy('dispute.number', 'desc').limit(MAX_LISTED)
      if (openOnly) query = query.where('dispute.open', '=', true)
      const files = await Promise.all((await query.execute()).map(viewUnlessErased))
      return files.filter((file) => file !== undefined)
    },

    async householdDisputes(accountId, householdId) {
      await access.inHousehold({ accountId, householdId }, 'history')
      const found = await rows()
        .where('tenure.household_id', '=', householdId)
        .where('tenure.ended_hour', 'is', null)
        .orderBy('dispute.number', 'desc')
        .limit(MAX_LISTED)
        .execute()
      const files = await Promise.all(found.map(view))
      return files.map(({ openedBy, reason, evidence, ...seen }) => seen)
    },

    async objectToDispute({ accountId, householdId, disputeId, objection }) {
      const text = checkText('The objection', objection)
      await access.inHousehold({ accountId, householdId }, 'manage')
      await step({ disputeId }, async (tx, tenure, content) => {
        // Of another household, it is not there.
        if (tenure.householdId !== householdId) throw access.denied()
        await access.inHousehold({ accountId, householdId }, 'manage', tx)
        if (content.state !== 'waiting') throw conflict('The household has objected already.')
        const { deviceId } = tenure
        return {
          after: { ...content, state: 'objected', objection: text },
          event: { kind: 'dispute_objected', by: accountId, deviceId },
          answer: undefined,
        }
      })
    },

    withdrawDispute: decide('withdrawn'),
    rejectDispute: decide('rejected'),

    async completeDispute({ operator, securityOfficer, disputeId }) {
      const change = await step({ disputeId, operator }, async (tx, tenure, content) => {
        if (content.openedBy === operator)
          throw conflict('Another operator must complete it: four eyes see more.')
        if (clock.nowMs() < content.dueAtMs) throw conflict('The household may object until the time is up.')
        if (content.state === 'objected' && !securityOfficer) {
          throw conflict('The household has objected: a security officer decides.')
        }
        const answer = await endings.endTenure(tx, tenure, { how: 'disputed', history: 'kept' })
        return { after: { ...content, state: 'completed', decidedBy: operator }, answer }
      })
      changes.tenure(change)
    },
  }
}

/** @throws AppError invalid_request */
function checkText(what: string, text: Personal): string {
  const given = text.reveal().trim()
  if (given.length >= 1 && given.length <= MAX_TEXT && given.isWellFormed() && !/\p{Cc}/u.test(given))
    return given
  throw new AppError('invalid_request', {
    message: `${what}: expected 1..${MAX_TEXT} characters without line breaks or control characters.`,
  })
}

function conflict(message: string): AppError {
  return new AppError('conflict', { message })
}
