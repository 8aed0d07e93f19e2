import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type AccountId, newId, Personal, type Secret, silentLog } from '../../src/core/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import { beginRenewal } from '../../src/simulator/credential.ts'
import { type SimulatedDevice, type Simulator, startSimulator } from '../../src/simulator/index.ts'
import { createWorld, type World } from './world.ts'

describe('a device that can replace its key pair', () => {
  let world: World
  let modelId: World['model']['id']
  const simulators: Simulator[] = []

  beforeAll(async () => {
    world = await createWorld()
    const model = await world.registry.addModel({
      name: 'rotating-plug',
      title: 'Plug',
      vendor: 'Test',
      deviceType: 'OnOffPlugInUnit',
      claimPolicy: 'possession',
      credentialRotation: true,
    })
    modelId = model.id
  })
  afterAll(async () => {
    for (const simulator of simulators) await simulator.close()
    await world.close()
  })

  async function provision(): Promise<ProvisionedDevice> {
    const [made] = await world.registry.provision({ modelId, count: 1 }, { withPassword: true })
    return made as ProvisionedDevice
  }

  const simulated = (made: ProvisionedDevice): SimulatedDevice => ({
    deviceId: made.deviceId,
    deviceType: 'OnOffPlugInUnit',
    certificatePem: made.certificatePem,
    privateKeyPem: made.privateKeyPem as Secret,
  })

  function simulate(
    device: SimulatedDevice,
    onCredential?: (device: SimulatedDevice) => Promise<void>,
  ): Simulator {
    const simulator = startSimulator({
      mqttUrl: `mqtts://127.0.0.1:${world.ports.tls}`,
      authorityPem: world.registry.authorityCertificate(),
      devices: [device],
      eventsPerSecond: 0,
      log: silentLog,
      random: () => 0,
      onCredential,
    })
    simulators.push(simulator)
    return simulator
  }

  async function household() {
    const accountId = newId<AccountId>()
    const { householdId } = await world.registry.createHousehold(accountId, { name: new Personal('Home') })
    return { accountId, householdId }
  }

  /** Claimed, then handed over: its next connection is to bring a new key. */
  async function handedOver(): Promise<ProvisionedDevice> {
    const made = await provision()
    const simulator = simulate(simulated(made))
    await vi.waitFor(() => expect(simulator.stats().online).toBe(1), { timeout: 10_000 })
    const first = await household()
    await world.registry.claim({ ...first, code: made.claimCode })
    expect(await world.registry.isRotationDue(made.deviceId)).toBe(false)
    await simulator.close()
    const { code } = await world.registry.offerTransfer({
      accountId: first.accountId,
      deviceId: made.deviceId,
      history: 'kept',
    })
    await world.registry.acceptTransfer({ ...(await household()), code })
    expect(await world.registry.isRotationDue(made.deviceId)).toBe(true)
    return made
  }

  async function renewed(made: ProvisionedDevice) {
    const nonce = Buffer.alloc(32, 7)
    const { response, complete } = await beginRenewal(simulated(made), nonce.toString('base64'))
    const { certificateDer } = await world.registry.rotateCredential({
      deviceId: made.deviceId,
      nonce,
      request: Buffer.from(response.NOCSRElements, 'base64'),
      signature: Buffer.from(response.AttestationSignature, 'base64'),
    })
    return complete(certificateDer.toString('base64'))
  }

  const der = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  const known = (pem: string) =>
    world.registry.verifyDeviceCertificate(der(pem)).then(
      () => true,
      () => false,
    )

  it('does so when another household took it over, and the old key stops for good', async () => {
    const made = await handedOver()
    const kept: SimulatedDevice[] = []
    const simulator = simulate(simulated(made), async (device) => void kept.push(device))
    await vi.waitFor(() => expect(kept).toHaveLength(2), { timeout: 20_000 })
    await vi.waitFor(() => expect(simulator.stats().online).toBe(1), { timeout: 20_000 })
    const [before, after] = kept as [SimulatedDevice, SimulatedDevice]
    // Kept with the former one before it was used, and alone once it was.
    expect(before.former?.certificatePem).toBe(made.certificatePem)
    expect(after.former).toBeUndefined()
    expect(await known(made.certificatePem)).toBe(false)
    expect(await known(after.certificatePem)).toBe(true)
    await expect(
      world.registry.verifyDevicePassword(made.deviceId, made.password?.reveal() ?? ''),
    ).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(await world.registry.isRotationDue(made.deviceId)).toBe(false)
    // Nothing of it stands in anybody's timeline.
    const { rows } = await world.database.pool.query(
      'select count(*) from stream.record where device_id = $1 and kind = 3',
      [made.deviceId],
    )
    expect(rows[0].count).toBe(0)
  }, 60_000)

  it('that lost the new certificate before the server saw it is let in by the old, and asked again', async () => {
    const made = await handedOver()
    let lost: SimulatedDevice | undefined
    const first = simulate(simulated(made), async (device) => {
      lost ??= device
      // The power goes here, and with it all that it had not stored.
      await new Promise(() => {})
    })
    await vi.waitFor(() => expect(lost).toBeDefined(), { timeout: 20_000 })
    void first.close()
    expect(await known(made.certificatePem)).toBe(true)
    const kept: SimulatedDevice[] = []
    simulate(simulated(made), async (device) => void kept.push(device))
    await vi.waitFor(() => expect(kept).toHaveLength(2), { timeout: 20_000 })
    expect(await known(made.certificatePem)).toBe(false)
    // The certificate of the attempt that came to nothing opens nothing.
    expect(await known(lost?.certificatePem ?? '')).toBe(false)
  }, 60_000)

  it('that has stored a certificate which the server has not, falls back to the former', async () => {
    const made = await handedOver()
    const unused = await renewed(made)
    // The server waits for another one by now.
    await renewed(made)
    const device = { ...simulated(made), ...unused, former: simulated(made) }
    const simulator = simulate(device)
    await vi.waitFor(() => expect(simulator.stats().online).toBe(1), { timeout: 20_000 })
  }, 60_000)
})
