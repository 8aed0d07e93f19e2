import { setTimeout as delay } from 'node:timers/promises'
import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { claim, connect, type FactoryDevice, provision, settle } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

const DEVICES = 4
const KILLS = 4

/**
 * Every device counts; each number is published once by the application. Half of the devices send again with DUP, as
 * MQTT demands; the other half is mqtt.js as it comes, which sends again without, and gives its messages an `$id`.
 */
describe('kill -9 of the server under load', () => {
  let at: Installation
  let devices: FactoryDevice[]

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await settle(at, 'Home')
    devices = await provision(at, 'hearth-plug', DEVICES)
  }, 120_000)

  afterAll(() => at.dispose())

  it('loses no acknowledged event and doubles none', { timeout: 240_000 }, async () => {
    const clients = await Promise.all(devices.map((device) => connect(at, device)))
    for (const [index, device] of devices.entries()) await claim(at, device, `plug ${index}`)
    const acknowledged: Set<number>[] = devices.map(() => new Set())
    let running = true
    const loads = clients.map((client, index) =>
      publishSteadily(client, devices[index], acknowledged[index], index % 2 === 0, () => running),
    )

    for (let kill = 0; kill < KILLS; kill += 1) {
      const before = acknowledged.map((set) => set.size)
      // Each round has seen traffic on every device before it is cut, at a moment of no one's choosing.
      await vi.waitFor(
        () => expect(acknowledged.every((set, i) => set.size > (before[i] ?? 0) + 20)).toBe(true),
        {
          timeout: 30_000,
        },
      )
      await delay(Math.random() * 300)
      await at.kill()
      await at.start()
    }
    running = false
    await Promise.all(loads)
    await Promise.all(clients.map((client) => client.endAsync()))

    for (const index of devices.keys()) {
      const stored = await storedNumbers(at, `plug ${index}`)
      const counts = new Map<number, number>()
      for (const number of stored) counts.set(number, (counts.get(number) ?? 0) + 1)
      const missing = [...(acknowledged[index] ?? [])].filter((number) => !counts.has(number))
      const doubled = [...counts].filter(([, count]) => count > 1)
      expect({ index, missing, doubled }).toEqual({
        index,
        missing: [],
        doubled: [],
      })
      expect(acknowledged[index]?.size).toBeGreaterThan(KILLS * 20)
    }
  })
})

async function publishSteadily(
  client: MqttClient,
  device: FactoryDevice | undefined,
  acknowledged: Set<number> | undefined,
  marksResends: boolean,
  running: () => boolean,
): Promise<void> {
  const topic = `hearth/1/${device?.deviceId}/attributes`
  if (marksResends) setDupOnResends(client)
  const pending: Promise<void>[] = []
  for (let number = 1; running() && number < 100_000; number += 1) {
    const payload = {
      'ElectricalPowerMeasurement.ActivePower': number,
      ...(marksResends ? {} : { $id: `n-${number}` }),
    }
    const sent = client
      .publishAsync(topic, JSON.stringify(payload), { qos: 1 })
      .then(() => void acknowledged?.add(number))
    pending.push(sent)
    // Eight in flight, so that a kill always cuts some between commit and PUBACK.
    if (pending.length >= 8) await pending.shift()
    await delay(4)
  }
  await Promise.all(pending)
}

/** [MQTT-3.3.1-1]: mqtt.js leaves this to whoever uses it. */
function setDupOnResends(client: MqttClient): void {
  const unacknowledged = new Set<number>()
  client.on('packetsend', (packet) => {
    if (packet.cmd !== 'publish' || packet.messageId === undefined) return
    packet.dup = unacknowledged.has(packet.messageId)
    unacknowledged.add(packet.messageId)
  })
  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'puback' && packet.messageId !== undefined) unacknowledged.delete(packet.messageId)
  })
}

async function storedNumbers(at: Installation, nickname: string): Promise<number[]> {
  const numbers: number[] = []
  let before: string | undefined
  for (;;) {
    const { stdout, code, stderr } = await at.cli([
      'timeline',
      nickname,
      '--json',
      '--limit',
      '200',
      ...(before === undefined ? [] : ['--before', before]),
    ])
    if (code !== 0) throw new Error(stderr)
    const entries = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
    if (entries.length === 0) return numbers
    for (const { payload } of entries) {
      const value =
        payload['1/ElectricalPowerMeasurement.ActivePower'] ??
        payload['ElectricalPowerMeasurement.ActivePower']
      if (typeof value === 'number') numbers.push(value)
    }
    before = String(entries.at(-1).seq)
  }
}
