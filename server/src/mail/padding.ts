import { AppError } from '../core/index.ts'

const STEP_BYTES = 1024
const LENGTH_BYTES = 4

/** [u32 length][UTF-8][zeros] up to a multiple of 1 KiB, so that a letter's size does not tell its kind. */
export function pad(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const padded = Buffer.alloc(Math.ceil((LENGTH_BYTES + length) / STEP_BYTES) * STEP_BYTES)
  padded.writeUInt32BE(length)
  padded.write(text, LENGTH_BYTES, 'utf8')
  return padded
}

export function unpad(padded: Buffer): string {
  const end = LENGTH_BYTES + padded.readUInt32BE()
  if (end > padded.length) throw new AppError('integrity_failed')
  return padded.toString('utf8', LENGTH_BYTES, end)
}
