import type { Kysely } from 'kysely'
import {
  AppError,
  type CommandId,
  type Database,
  type DeviceId,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import type { SealingKey } from '../keys/index.ts'
import type { Registry } from '../registry/index.ts'
import { type EndingDependencies, endWithoutDevice, openUnlessLost } from './command-endings.ts'
import { type CommandParts, sealPart } from './command-seals.ts'
import type { CommandRow, HomeTables } from './tables.ts'
import { lockCommands } from './tenure-endings.ts'
import { appendCommandEvent, takePlaces } from './timeline.ts'

/** How many due commands end in one transaction. */
const EXPIRY_BATCH = 200

export interface NewCommand
  extends Pick<
    CommandRow,
    | 'command_id'
    | 'tenure_id'
    | 'device_id'
    | 'key_id'
    | 'account_id'
    | 'due_ms'
    | 'idempotency_key'
    | 'request_digest'
  > {
  parts: CommandParts['request']
}

/**
 * The commands' rows and their transitions, each one statement that names the state it starts from, so that of two
 * that race one does nothing:
 * queued → delivered → succeeded | failed | expired, and queued → succeeded | failed | expired.
 */
export interface CommandStore {
  find(commandId: CommandId): Promise<CommandRow | undefined>
  /** `digests`: of the idempotency key, under every version of the purpose key. */
  findByKey(digests: readonly Buffer[]): Promise<CommandRow | undefined>
  /**
   * The new row, or the one that has the idempotency key already. Requests for one tenure take turns here.
   * @throws AppError not_found when the tenure has ended; rate_limited when `maxOpen` commands of the tenure have not ended
   */
  insert(
    key: SealingKey,
    command: NewCommand,
    digests: readonly Buffer[],
    limits: { maxOpen: number; nowMs: number },
  ): Promise<{ row: CommandRow; created: boolean }>
  /** Takes back a command that was never sent, with its place in the timeline. False when it is not queued any more. */
  withdraw(row: CommandRow): Promise<boolean>
  /** What waits for a device, in the order of the requests. */
  queued(deviceId: DeviceId, nowMs: number): Promise<CommandRow[]>
  /** Devices for which something waits. */
  waiting(): Promise<{ deviceId: DeviceId; tenureId: TenureId }[]>
  deliver(
    commandId: CommandId,
    deviceId: DeviceId,
    tenureId: TenureId,
    nowMs: number,
  ): Promise<CommandRow | undefined>
  /** Ends a command that was never sent: its requester may not control the device any more. */
  refuse(row: CommandRow, status: string, nowMs: number): Promise<CommandRow | undefined>
  /** Ends what is due: the one command, or a batch. */
  expire(nowMs: number, commandId?: CommandId): Promise<CommandRow[]>
}

export interface CommandStoreDependencies extends EndingDependencies {
  database: Database
  registry: Pick<Registry, 'holdsNow'>
}

export function createCommandStore(d: CommandStoreDependencies): CommandStore {
  const queries = () => d.database.queries.withTables<HomeTables>()
  const inTx = (tx: Tx) => tx.withTables<HomeTables>()

  function find(commandId: CommandId): Promise<CommandRow | undefined> {
    return queries()
      .selectFrom('home.command')
      .selectAll()
      .where('command_id', '=', commandId)
      .executeTakeFirst()
  }

  return {
    find,

    findByKey: (digests) => byKey(queries(), digests),

    insert: (key, command, digests, { maxOpen, nowMs }) =>
      d.database.transaction(async (plainTx) => {
        const tx = inTx(plainTx)
        await lockCommands(tx, command.tenure_id)
        // It may have ended since this was authorized: then its end has done its work, and would miss this command.
        if (!(await d.registry.holdsNow(plainTx, command.tenure_id))) throw new AppError('not_found')
        const earlier = digests.length > 0 ? await byKey(tx, digests) : undefined
        if (earlier) return { row: earlier, created: false }
        const { open } = await tx
          .selectFrom('home.command')
          .select((e) => e.fn.countAll<number>().as('open'))
          .where('tenure_id', '=', command.tenure_id)
          .where('due_ms', '>', nowMs)
          .executeTakeFirstOrThrow()
        if (open >= maxOpen) {
          throw new AppError('rate_limited', {
            message: 'Too many commands for this device have not ended yet.',
            retryAfterSeconds: 1,
          })
        }
        const seq = (await takePlaces(tx, 1)) + 1
        const { parts, ...columns } = command
        const row = await tx
          .insertInto('home.command')
          .values({
            ...columns,
            seq,
            state: 'queued',
            request: sealPart(key, 'request', command.command_id, parts),
            delivery: null,
            outcome: null,
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        await appendCommandEvent(plainTx, key, {
          seq,
          tenureId: command.tenure_id,
          atMs: nowMs,
          event: {
            event: 'requested',
            commandId: command.command_id,
            command: parts.command,
            ...(parts.endpoint !== undefined && { endpoint: parts.endpoint }),
            arguments: parts.arguments,
          },
        })
        return { row, created: true }
      }),

    withdraw: (row) =>
      d.database.transaction(async (plainTx) => {
        const tx = inTx(plainTx)
        const gone = await tx
          .deleteFrom('home.command')
          .where('command_id', '=', row.command_id)
          .where('state', '=', 'queued')
          .returning('seq')
          .executeTakeFirst()
        if (!gone) return false
        await tx
          .deleteFrom('home.timeline')
          .where('tenure_id', '=', row.tenure_id)
          .where('seq', '=', gone.seq)
          .execute()
        return true
      }),

    queued: (deviceId, nowMs) =>
      queries()
        .selectFrom('home.command')
        .selectAll()
        .where('device_id', '=', deviceId)
        .where('state', '=', 'queued')
        .where('due_ms', '>', nowMs)
        .orderBy('seq')
        .execute(),

    async waiting() {
      const rows = await queries()
        .selectFrom('home.command')
        .select(['device_id', 'tenure_id'])
        .distinct()
        .where('due_ms', 'is not', null)
        .where('state', '=', 'queued')
        .execute()
      return rows.map((row) => ({ deviceId: row.device_id, tenureId: row.tenure_id }))
    },

    async deliver(commandId, deviceId, tenureId, nowMs) {
      const row = await find(commandId)
      if (row?.state !== 'queued') return undefined
      const key = await openUnlessLost(d, row)
      if (!key) return undefined
      return queries()
        .updateTable('home.command')
        .set({ state: 'delivered', delivery: sealPart(key, 'delivery', commandId, { atMs: nowMs }) })
        .where('command_id', '=', commandId)
        .where('device_id', '=', deviceId)
        .where('tenure_id', '=', tenureId)
        .where('state', '=', 'queued')
        .where('due_ms', '>', nowMs)
        .returningAll()
        .executeTakeFirst()
    },

    refuse: (row, status, nowMs) =>
      d.database.transaction(async (tx) => {
        const [ended] = await endWithoutDevice(d, tx, [row], {
          state: 'failed',
          event: 'refused',
          status,
          nowMs,
        })
        return ended
      }),

    expire: (nowMs, commandId) =>
      d.database.transaction(async (tx) => {
        let due = inTx(tx)
          .selectFrom('home.command')
          .selectAll()
          .where('due_ms', '<=', nowMs)
          .orderBy('due_ms')
          .limit(EXPIRY_BATCH)
          .forUpdate()
        // Whoever reads the one command waits for its end; the timer leaves rows that another transaction ends.
        due = commandId ? due.where('command_id', '=', commandId) : due.skipLocked()
        const rows = await due.execute()
        return endWithoutDevice(d, tx, rows, { state: 'expired', event: 'expired', nowMs })
      }),
  }
}

function byKey(db: Kysely<HomeTables>, digests: readonly Buffer[]): Promise<CommandRow | undefined> {
  return db
    .selectFrom('home.command')
    .selectAll()
    .where('idempotency_key', 'in', [...digests])
    .executeTakeFirst()
}
