import {
  type AccountId,
  AppError,
  type Clock,
  type DeviceId,
  type HouseholdId,
  newId,
  type Personal,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Access } from './access.ts'
import type { Tenure } from './face.ts'
import { checkName, padName, unpadName } from './names.ts'
import type { RegistryTables } from './tables.ts'
import { toTenure } from './tenure-row.ts'

const HOUR_MS = 3_600_000
const MAX_DEVICES = 500

const nicknamePlace = (id: TenureId) => place('registry.tenure.nickname', id)

/** Nicknames, sealed under their tenure's key. */
export function createNicknames({ keys }: { keys: Keys }) {
  return {
    check: (nickname: Personal) => checkName('The nickname of a device', nickname),
    async seal(tenure: Pick<Tenure, 'tenureId' | 'keyId'>, name: string, tx?: Tx): Promise<Buffer> {
      return (await keys.open(tenure.keyId, tx)).seal(nicknamePlace(tenure.tenureId), padName(name))
    },
    async open(tenure: Pick<Tenure, 'tenureId' | 'keyId'>, sealed: Buffer): Promise<Personal> {
      return unpadName((await keys.open(tenure.keyId)).unseal(nicknamePlace(tenure.tenureId), sealed))
    },
  }
}
export type Nicknames = ReturnType<typeof createNicknames>

export interface TenureStart {
  accountId: AccountId
  householdId: HouseholdId
  deviceId: DeviceId
  nickname: string | undefined
}

/** The one way in which a tenure begins. */
export function createTenureStarts(d: { keys: Keys; clock: Clock; access: Access; nicknames: Nicknames }) {
  const { keys, clock, access, nicknames } = d

  /**
   * The caller has locked household and device, knows that nobody holds it, and announces the tenure after the commit.
   * @throws AppError not_found when the account may not take devices into the household; conflict when it is full
   */
  return async function startTenure(tx: Tx, start: TenureStart): Promise<Tenure> {
    const tables = tx.withTables<RegistryTables>()
    const { householdId, deviceId, nickname } = start
    const { householdKeyId } = await access.inHousehold(start, 'configure', tx)

    const { count } = await tables
      .selectFrom('registry.tenure')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('household_id', '=', householdId)
      .where('ended_hour', 'is', null)
      .executeTakeFirstOrThrow()
    if (count >= MAX_DEVICES) {
      throw new AppError('conflict', { message: `A household has at most ${MAX_DEVICES} devices.` })
    }

    const tenureId = newId<TenureId>()
    const keyId = await keys.create(tx, { kind: 'tenure', subject: tenureId, wrappedBy: householdKeyId })
    const row = {
      tenure_id: tenureId,
      device_id: deviceId,
      household_id: householdId,
      key_id: keyId,
      nickname: nickname === undefined ? null : await nicknames.seal({ tenureId, keyId }, nickname, tx),
      started_hour: new Date(Math.floor(clock.nowMs() / HOUR_MS) * HOUR_MS),
      ended_hour: null,
      ending: null,
    }
    await tables.insertInto('registry.tenure').values(row).execute()
    await setHeld(tx, deviceId)
    return toTenure(row)
  }

  /** The code on the label is known from now on, the reset is used up, and a key that others had near is replaced. */
  async function setHeld(tx: Tx, deviceId: DeviceId): Promise<void> {
    const tables = tx.withTables<RegistryTables>()
    const device = await tables
      .selectFrom('registry.device as device')
      .innerJoin('registry.model as model', 'model.model_id', 'device.model_id')
      .select(['model.definition', 'device.held_before', 'device.rotation_due'])
      .where('device.device_id', '=', deviceId)
      .executeTakeFirstOrThrow()
    const credentialRotation = device.definition.credentialRotation === true
    await tables
      .updateTable('registry.device')
      .set({
        held_before: true,
        reset: null,
        rotation_due: credentialRotation && (device.rotation_due || device.held_before),
      })
      .where('device_id', '=', deviceId)
      .execute()
  }
}
