import { randomBytes, randomUUID } from 'node:crypto'
import { AppError } from './errors.ts'

declare const brand: unique symbol
type Id<Name extends string> = string & { readonly [brand]: Name }

/** All ids are UUIDs in their lower-case text form. */
export type AccountId = Id<'account'>
export type HouseholdId = Id<'household'>
export type DeviceId = Id<'device'>
export type ModelId = Id<'model'>
export type TenureId = Id<'tenure'>
export type GrantId = Id<'grant'>
export type InvitationId = Id<'invitation'>
export type SupportRequestId = Id<'support-request'>
export type DisputeId = Id<'dispute'>
export type CommandId = Id<'command'>
export type RecordId = Id<'record'>
export type KeyId = Id<'key'>
export type LetterId = Id<'letter'>
export type CopyId = Id<'copy'>

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A random id (UUID version 4): tells nothing about when it was made. */
export function newId<T extends Id<string>>(): T {
  return randomUUID() as string as T
}

/** An id in order of time (UUID version 7, RFC 9562 section 5.7), for rows that are appended. */
export function newOrderedId<T extends Id<string>>(nowMs: number): T {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(nowMs, 0, 6)
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  return idFromBytes<T>(bytes)
}

export function isId(text: string): boolean {
  return UUID.test(text)
}

/** @throws AppError invalid_request when the text is not a UUID in lower case */
export function asId<T extends Id<string>>(text: string): T {
  if (!UUID.test(text))
    throw new AppError('invalid_request', { message: 'An id must be a UUID in lower case.' })
  return text as T
}

/** The id's 16 bytes, as PostgreSQL's binary format wants them. */
export function idToBytes(id: Id<string>): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex')
}

export function idFromBytes<T extends Id<string>>(bytes: Buffer): T {
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as T
}
