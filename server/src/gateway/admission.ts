import { isIP, type Socket } from 'node:net'
import type { Clock } from '../core/index.ts'
import type { GatewayLimits } from './limits.ts'
import { TokenBuckets } from './token-buckets.ts'

/** A connection's place among those that are open, and, until `authenticated`, among those of strangers. */
export interface Admitted {
  readonly socket: Socket
  readonly acceptedAtMs: number
  /** The remote address as the limits count it. */
  readonly address: string
  authenticated(): void
}

/** Who may connect at all, before a byte is read: bounds what strangers can hold and how fast they can knock. */
export class Admission {
  refusedConnections = 0
  readonly #limits: GatewayLimits
  readonly #clock: Clock
  readonly #rate: TokenBuckets
  readonly #ratePerAddress: TokenBuckets
  readonly #failuresPerAddress: TokenBuckets
  readonly #failuresPerDevice: TokenBuckets
  readonly #strangers = new Set<Admitted>()
  readonly #strangersPerAddress = new Map<string, number>()
  #open = 0

  constructor(limits: GatewayLimits, clock: Clock) {
    const buckets = (perSecond: number, burst: number) =>
      new TokenBuckets({ clock, perSecond, burst, remembered: limits.rememberedAddresses })
    this.#limits = limits
    this.#clock = clock
    this.#rate = buckets(limits.connectionsPerSecond, limits.connectionBurst)
    this.#ratePerAddress = buckets(limits.connectionsPerSecondPerAddress, limits.connectionBurstPerAddress)
    this.#failuresPerAddress = buckets(limits.failuresPerMinutePerAddress / 60, limits.failureBurstPerAddress)
    this.#failuresPerDevice = buckets(limits.failuresPerMinutePerDevice / 60, limits.failureBurstPerDevice)
  }

  get open(): number {
    return this.#open
  }

  get unauthenticated(): number {
    return this.#strangers.size
  }

  /** Takes the connection in, or destroys it: an answer would cost more than it is worth. */
  admit(socket: Socket): Admitted | undefined {
    const address = addressKey(socket.remoteAddress)
    if (address === undefined || !this.#mayConnect(address)) {
      this.refusedConnections += 1
      socket.destroy()
      return undefined
    }
    const admitted: Admitted = {
      socket,
      acceptedAtMs: this.#clock.nowMs(),
      address,
      authenticated: () => this.#leaveStrangers(admitted),
    }
    this.#open += 1
    this.#strangers.add(admitted)
    this.#strangersPerAddress.set(address, (this.#strangersPerAddress.get(address) ?? 0) + 1)
    socket.once('close', () => {
      this.#open -= 1
      this.#leaveStrangers(admitted)
    })
    return admitted
  }

  #mayConnect(address: string): boolean {
    const limits = this.#limits
    if (this.#open >= limits.connections || this.#strangers.size >= limits.unauthenticated) return false
    if (this.#counts(address)) {
      if ((this.#strangersPerAddress.get(address) ?? 0) >= limits.unauthenticatedPerAddress) return false
      if (!this.#ratePerAddress.take(address)) return false
    }
    return this.#rate.take('all')
  }

  #counts(address: string): boolean {
    return this.#limits.limitLoopback || !isLoopback(address)
  }

  #leaveStrangers(admitted: Admitted): void {
    if (!this.#strangers.delete(admitted)) return
    const left = (this.#strangersPerAddress.get(admitted.address) ?? 1) - 1
    if (left > 0) this.#strangersPerAddress.set(admitted.address, left)
    else this.#strangersPerAddress.delete(admitted.address)
  }

  /**
   * False after too many failures from this address, or of this address for one device id, where the credential can
   * be guessed (passwords, tokens). Never for what came from elsewhere: a stranger who fails on purpose must not lock
   * the device out.
   */
  mayAuthenticate(address: string, claimedDeviceId: string | undefined): boolean {
    if (!this.#counts(address)) return true
    if (!this.#failuresPerAddress.has(address)) return false
    return claimedDeviceId === undefined || this.#failuresPerDevice.has(`${address} ${claimedDeviceId}`)
  }

  authenticationFailed(address: string, claimedDeviceId: string | undefined): void {
    if (!this.#counts(address)) return
    this.#failuresPerAddress.take(address)
    if (claimedDeviceId !== undefined) this.#failuresPerDevice.take(`${address} ${claimedDeviceId}`)
  }

  /** Closes what did not get through its CONNECT in time, the slow TLS handshakes included. */
  sweep(nowMs: number): number {
    let closed = 0
    for (const admitted of this.#strangers) {
      if (nowMs - admitted.acceptedAtMs < this.#limits.connectDeadlineMs) continue
      admitted.socket.destroy()
      this.#leaveStrangers(admitted)
      closed += 1
    }
    return closed
  }

  closeStrangers(): void {
    for (const { socket } of this.#strangers) socket.destroy()
  }
}

/** An IPv4 address, or the /64 of an IPv6 one: whoever has one address there has them all. */
function addressKey(remoteAddress: string | undefined): string | undefined {
  if (remoteAddress === undefined) return undefined
  const address = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress
  if (isIP(address) !== 6) return address
  if (address === '::1') return address
  const [left = '', right] = address.split('%', 1)[0]?.split('::') ?? []
  const head = left.split(':').filter(Boolean)
  const tail = right === undefined ? [] : right.split(':').filter(Boolean)
  const zeros = right === undefined ? [] : Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0')
  return [...head, ...zeros, ...tail].slice(0, 4).join(':')
}

export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}
