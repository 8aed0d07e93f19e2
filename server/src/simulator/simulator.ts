import type { Log, Secret } from '../core/index.ts'
import type { Random } from './behaviour.ts'
import { type RunningDevice, runDevice, type SimulatedDevice } from './simulated-device.ts'

export interface SimulatorOptions {
  /** `mqtts://host:port` */
  mqttUrl: string
  authorityPem: string
  devices: readonly SimulatedDevice[]
  /** How often something happens by itself, over all devices together. 0 for devices that only obey. */
  eventsPerSecond: number
  log: Log
  random?: Random
  /** A device has another key and certificate. */
  onCredential?: ((device: SimulatedDevice) => Promise<void>) | undefined
}

export interface SimulatorStats {
  devices: number
  online: number
  acknowledged: number
  refused: number
}

export interface Simulator {
  stats(): SimulatorStats
  /** Somebody holds this device's reset button down: the claim code that it shows from then on. */
  reset(deviceId: string): Secret | undefined
  close(): Promise<void>
}

const TICK_MS = 50
/** A device that waits for this many acknowledgements keeps quiet until some came. */
const MAX_IN_FLIGHT = 16

/** A fleet of real MQTT clients that behave like homes. */
export function startSimulator({
  mqttUrl,
  authorityPem,
  devices,
  eventsPerSecond,
  log,
  random = Math.random,
  onCredential,
}: SimulatorOptions): Simulator {
  const running = devices.map((device) =>
    runDevice({ device, mqttUrl, authorityPem, random, log, onCredential }),
  )
  let owed = 0
  const timer = setInterval(() => {
    owed = Math.min(owed + (eventsPerSecond * TICK_MS) / 1_000, Math.max(1, eventsPerSecond))
    for (; owed >= 1; owed -= 1) stirOne(running, random)
  }, TICK_MS)
  return {
    stats: () => ({
      devices: running.length,
      online: running.filter((device) => device.online).length,
      acknowledged: running.reduce((sum, device) => sum + device.acknowledged, 0),
      refused: running.reduce((sum, device) => sum + device.refused, 0),
    }),
    reset(deviceId) {
      return running[devices.findIndex((device) => device.deviceId === deviceId)]?.reset()
    },
    async close() {
      clearInterval(timer)
      await Promise.all(running.map((device) => device.close()))
    },
  }
}

function stirOne(devices: readonly RunningDevice[], random: Random): void {
  const device = devices[Math.floor(random() * devices.length)]
  if (device?.online && device.inFlight < MAX_IN_FLIGHT) device.stir()
}
