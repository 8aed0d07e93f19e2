import mqtt from 'mqtt'
import { enrolOperator, newCustomer } from './support/customers.ts'
import { createBenchInstallation } from './support/fleet.ts'
import { percentile, printTable } from './support/table.ts'

const COMMANDS = 500
const WARM_UP = 50

/** HTTP in → authorized → device → result → HTTP out, one after the other: the latency that a person feels. */
const at = await createBenchInstallation(1, { claimed: false })
try {
  const { printed } = await at.start()
  const operator = await enrolOperator(at.url, await printed)
  const client = await newCustomer(at.url, operator, 'bench@example.org')
  const home = await client.request<{ householdId: string }>('POST', '/v1/households', {
    body: { name: 'Bench' },
  })
  const [bulb] = at.devices
  if (!bulb) throw new Error('no device')
  const device = await mqtt.connectAsync(`mqtts://127.0.0.1:${at.mqttPort}`, {
    protocolVersion: 5,
    clientId: bulb.deviceId,
    username: bulb.deviceId,
    password: bulb.password,
    ca: at.authorityPem,
  })
  device.on('message', (_topic, message) => {
    const { id } = JSON.parse(message.toString())
    device.publish(`hearth/1/${bulb.deviceId}/results`, `{"id":"${id}","status":"SUCCESS"}`, { qos: 1 })
  })
  await client.request('POST', `/v1/households/${home.householdId}/claims`, {
    body: { code: bulb.claimCode },
  })
  await device.subscribeAsync(`hearth/1/${bulb.deviceId}/commands`, { qos: 1 })

  const samples: number[] = []
  for (let sent = 0; sent < COMMANDS + WARM_UP; sent += 1) {
    const began = performance.now()
    const answer = await patiently(() =>
      client.request<{ state: string }>('POST', `/v1/devices/${bulb.deviceId}/commands`, {
        body: { command: 'OnOff.Toggle', arguments: {} },
        headers: { prefer: 'wait=5' },
      }),
    )
    if (answer.state !== 'succeeded') throw new Error(`a command ended ${answer.state}`)
    if (sent >= WARM_UP) samples.push(performance.now() - began)
    // Ten a second: low load, and within what one account may send.
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, 100 - (performance.now() - began))))
  }
  device.end(true)
  printTable(
    `command round trip, HTTP in → device → result out, ${COMMANDS} one by one (budget: p99 below 20 ms)`,
    [
      {
        'p50 ms': percentile(samples, 0.5),
        'p95 ms': percentile(samples, 0.95),
        'p99 ms': percentile(samples, 0.99),
      },
    ],
  )
} finally {
  await at.dispose()
}

async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act()
    } catch (error) {
      const wait = (error as { retryAfterSeconds?: number }).retryAfterSeconds
      if (wait === undefined) throw error
      await new Promise((resolve) => setTimeout(resolve, wait * 1_000))
    }
  }
}
