import type { StreamLimits } from './face.ts'

export const defaultLimits: StreamLimits = {
  batchRecords: 250,
  batchBytes: 4 << 20,
  highWaterRecords: 20_000,
  highWaterBytes: 16 << 20,
  lowWaterRecords: 5_000,
  lowWaterBytes: 4 << 20,
  maxPendingRecords: 60_000,
  maxPendingBytes: 64 << 20,
  maxPayloadBytes: 256 << 10,
  maxPaths: 256,
  batchTimeoutMs: 10_000,
  readRecords: 2_000,
  readBytes: 8 << 20,
  tailRecords: 20_000,
  tailBytes: 16 << 20,
  pollMs: 1_000,
  retryFirstMs: 50,
  retryLastMs: 15_000,
}
