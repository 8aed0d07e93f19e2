import { sql } from 'kysely'
import { type AccountId, AppError, type Clock, type Database, type TenureId, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Access } from './access.ts'
import type { Changes } from './changes.ts'
import { canonicalClaimCode, newClaimCode } from './claim-code.ts'
import type { History, Registry, Tenure } from './face.ts'
import type { HouseholdLog } from './household-log.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import { beforeNoReset } from './reset-codes.ts'
import type { RegistryTables } from './tables.ts'
import type { TenureEndings } from './tenure-endings.ts'
import { lockCurrentTenure, lockHouseholds } from './tenure-locks.ts'
import { TENURE_COLUMNS, toTenure } from './tenure-row.ts'
import type { Nicknames, TenureStart } from './tenure-starts.ts'

const OFFER_HOURS = 24
/** All in one length: a copy does not tell what becomes of the history. */
const TERMS_BYTES = 128

interface OfferTerms {
  offeredBy: AccountId
  history: History
  untilMs: number
}

export type Transfers = Pick<
  Registry,
  'offerTransfer' | 'transferOffer' | 'cancelTransfer' | 'acceptTransfer'
> & {
  stats(): Record<string, number>
}

const termsPlace = (tenureId: TenureId) => place('registry.transfer_offer.terms', tenureId)

/** From household to household, by a code that one gives the other. The device need not be reset, nor be online. */
export function createTransfers(d: {
  database: Database
  keys: Keys
  clock: Clock
  access: Access
  nicknames: Nicknames
  startTenure: (tx: Tx, start: TenureStart) => Promise<Tenure>
  endings: TenureEndings
  householdLog: HouseholdLog
  changes: Changes
}): Transfers {
  const { database, keys, clock, access, nicknames, startTenure, endings, householdLog, changes } = d
  const digests = keys.purpose('registry.transfer-code')
  const counts = { transfers: 0, refused: 0 }

  /** One answer for all: which codes exist is nobody's business. */
  function refused(): AppError {
    counts.refused++
    return new AppError('code_refused')
  }

  function offersOf(code: string, tx?: Tx) {
    return (tx ?? database.queries)
      .withTables<RegistryTables>()
      .selectFrom('registry.transfer_offer as offer')
      .innerJoin('registry.tenure as tenure', 'tenure.tenure_id', 'offer.tenure_id')
      .select([...TENURE_COLUMNS, 'offer.terms'])
      .where('offer.code_digest', 'in', digests.digests(code))
      .where('tenure.ended_hour', 'is', null)
      .where(beforeNoReset('tenure.household_id', 'offer.epoch'))
  }

  async function termsOf(
    tenure: Pick<Tenure, 'tenureId' | 'keyId'>,
    sealed: Buffer,
    tx?: Tx,
  ): Promise<OfferTerms> {
    const key = await keys.open(tenure.keyId, tx)
    return parseJson(key.unseal(termsPlace(tenure.tenureId), sealed))
  }

  /** Whoever offered it must have the right to it at this moment: an offer outlives no membership. */
  async function stillOffered(tx: Tx, tenure: Tenure, terms: OfferTerms): Promise<boolean> {
    if (clock.nowMs() >= terms.untilMs) return false
    const row = await access
      .held(terms.offeredBy, tx)
      .where('tenure.tenure_id', '=', tenure.tenureId)
      .executeTakeFirst()
    return row !== undefined && (await access.allowed(row, 'manage', tx)) !== undefined
  }

  return {
    async offerTransfer({ accountId, deviceId, history }) {
      const { row } = await access.onDevice(accountId, deviceId, 'manage')
      const { tenure_id, household_id, key_id } = row
      const code = newClaimCode()
      const untilMs = clock.nowMs() + OFFER_HOURS * 3_600_000
      const terms: OfferTerms = { offeredBy: accountId, history, untilMs }
      await database.transaction(async (tx) => {
        await lockHouseholds(tx, [household_id])
        // An offer on a tenure that ends at this moment would outlive it.
        if (!(await lockCurrentTenure(tx, tenure_id))) throw access.denied()
        // Again, now that nothing moves: the right may have ended while this waited.
        await access.onDevice(accountId, deviceId, 'manage', tx)
        const values = {
          code_digest: digests.digest(canonicalClaimCode(code) as string),
          terms: (await keys.open(key_id, tx)).seal(termsPlace(tenure_id), paddedJson(terms, TERMS_BYTES)),
          epoch: sql<number>`default`,
        }
        await tx
          .withTables<RegistryTables>()
          .insertInto('registry.transfer_offer')
          .values({ tenure_id, ...values })
          // One open offer a device: the code of an earlier one is worth nothing from now on.
          .onConflict((conflict) => conflict.column('tenure_id').doUpdateSet(values))
          .execute()
        const event = { kind: 'transfer_offered', by: accountId, deviceId, untilMs, history } as const
        await householdLog.append(tx, household_id, event)
      })
      return { code, untilMs, history }
    },

    async transferOffer(accountId, deviceId) {
      const { row } = await access.onDevice(accountId, deviceId, 'manage')
      const offer = await database.queries
        .withTables<RegistryTables>()
        .selectFrom('registry.transfer_offer')
        .select('terms')
        .where('tenure_id', '=', row.tenure_id)
        .where('epoch', '>=', sql<number>`registry.code_epoch(${row.household_id})`)
        .executeTakeFirst()
      const terms = offer && (await termsOf(toTenure(row), offer.terms))
      if (!terms || clock.nowMs() >= terms.untilMs) return undefined
      return { untilMs: terms.untilMs, history: terms.history }
    },

    async cancelTransfer(accountId, deviceId) {
      const { row } = await access.onDevice(accountId, deviceId, 'manage')
      const { tenure_id, household_id } = row
      await database.transaction(async (tx) => {
        await lockHouseholds(tx, [household_id])
        await access.onDevice(accountId, deviceId, 'manage', tx)
        const { numDeletedRows } = await tx
          .withTables<RegistryTables>()
          .deleteFrom('registry.transfer_offer')
          .where('tenure_id', '=', tenure_id)
          .executeTakeFirst()
        if (numDeletedRows === 0n) return
        await householdLog.append(tx, household_id, { kind: 'transfer_cancelled', by: accountId, deviceId })
      })
    },

    async acceptTransfer({ accountId, householdId, code, nickname }) {
      const name = nickname && nicknames.check(nickname)
      await access.inHousehold({ accountId, householdId }, 'configure')
      const canonical = canonicalClaimCode(code)
      // Read before the locks, to know what to lock; it counts only as it is read again after them.
      const seen = canonical && (await offersOf(canonical).executeTakeFirst())
      if (!seen) throw refused()
      const tenure = await database.transaction(async (tx) => {
        await lockHouseholds(tx, [householdId, seen.household_id])
        const former = await lockCurrentTenure(tx, seen.tenure_id)
        const offer = await offersOf(canonical, tx).executeTakeFirst()
        const terms = former && offer && (await termsOf(former, offer.terms, tx))
        if (!former || !terms || !(await stillOffered(tx, former, terms))) throw refused()
        if (former.householdId === householdId) {
          throw new AppError('conflict', { message: 'The device is in this household already.' })
        }
        const { deviceId } = former
        const { history, offeredBy } = terms
        await endings.endTenure(tx, former, { how: 'transferred', history, by: offeredBy })
        const started = await startTenure(tx, { accountId, householdId, deviceId, nickname: name })
        await householdLog.append(tx, householdId, { kind: 'received', by: accountId, deviceId })
        return started
      })
      counts.transfers++
      changes.tenure({ deviceId: tenure.deviceId, tenure })
      return tenure
    },

    stats: () => ({ registry_transfers: counts.transfers, registry_transfers_refused: counts.refused }),
  }
}
