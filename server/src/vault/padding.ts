import { AppError } from '../core/index.ts'

const PADDED_BYTES = 256
const LENGTH_BYTES = 2
const MAX_PADDED_TEXT_BYTES = PADDED_BYTES - LENGTH_BYTES

/**
 * Every text in one length, before it is sealed: [u16 length][UTF-8][zeros], 256 bytes. Somebody who has a copy of
 * the table and a list of all addresses would otherwise tell rare lengths, and with them people, apart.
 */
export function pad(text: string): Buffer {
  const length = Buffer.byteLength(text)
  if (length > MAX_PADDED_TEXT_BYTES) throw new AppError('too_large')
  const padded = Buffer.alloc(PADDED_BYTES)
  padded.writeUInt16BE(length)
  padded.write(text, LENGTH_BYTES, 'utf8')
  return padded
}

export function unpad(padded: Buffer): string {
  if (padded.length !== PADDED_BYTES) throw new AppError('integrity_failed')
  const end = LENGTH_BYTES + padded.readUInt16BE()
  if (end > PADDED_BYTES) throw new AppError('integrity_failed')
  return padded.toString('utf8', LENGTH_BYTES, end)
}
