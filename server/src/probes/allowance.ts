import { ProbeFailure } from './failure.ts'

/** What one probe of one port may use: bytes and connections. A server that streams for ever finds an end here. */
export interface Allowance {
  /** @throws ProbeFailure too-much */
  heard(bytes: number): void
  /** @throws ProbeFailure too-much */
  connects(): void
  readonly heardBytes: number
}

export interface AllowanceOptions {
  bytes: number
  connections: number
}

export function createAllowance({ bytes, connections }: AllowanceOptions): Allowance {
  let heardBytes = 0
  let connected = 0
  return {
    heard(count) {
      heardBytes += count
      if (heardBytes > bytes) throw new ProbeFailure('too-much')
    },
    connects() {
      connected += 1
      if (connected > connections) throw new ProbeFailure('too-much')
    },
    get heardBytes() {
      return heardBytes
    },
  }
}
