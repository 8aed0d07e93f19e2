import { createPrivateKey, randomBytes, sign } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { DeviceId, Secret } from '../../src/core/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import { beginRenewal, type Renewal } from '../../src/simulator/credential.ts'
import { createWorld, refusal, type World } from './world.ts'

let world: World
let device: ProvisionedDevice
beforeAll(async () => {
  world = await createWorld()
})
beforeEach(async () => {
  device = await world.provisionOne('hearth-lock', true)
  await due([device.deviceId])
})
afterAll(() => world.close())

const due = (deviceIds: DeviceId[]) =>
  world.database.transaction((tx) => world.registry.requestRotation(tx, deviceIds))

const der = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
const bytes = (text: string) => Buffer.from(text, 'base64')

async function renew(nonce: Buffer, by: ProvisionedDevice = device) {
  const present = { certificatePem: by.certificatePem, privateKeyPem: by.privateKeyPem as Secret }
  const renewal = await beginRenewal(present, nonce.toString('base64'))
  const { NOCSRElements, AttestationSignature } = renewal.response
  return { renewal, request: bytes(NOCSRElements), signature: bytes(AttestationSignature) }
}

async function rotated(): Promise<{ certificatePem: string; renewal: Renewal }> {
  const nonce = randomBytes(32)
  const { renewal, request, signature } = await renew(nonce)
  const { certificateDer } = await world.registry.rotateCredential({
    deviceId: device.deviceId,
    nonce,
    request,
    signature,
  })
  const { certificatePem } = renewal.complete(certificateDer.toString('base64'))
  return { certificatePem, renewal }
}

const known = async (pem: string) =>
  (await refusal(world.registry.verifyDeviceCertificate(der(pem)))) === undefined

describe('a new key for a device', () => {
  it('is taken beside the old one, and alone from the first connection with it on', async () => {
    const { certificatePem } = await rotated()
    expect(await known(device.certificatePem)).toBe(true)
    expect(await known(certificatePem)).toBe(true)
    expect(await known(device.certificatePem)).toBe(false)
    expect(await known(certificatePem)).toBe(true)
    const password = device.password?.reveal() ?? ''
    expect(await refusal(world.registry.verifyDevicePassword(device.deviceId, password))).toBe(
      'unauthenticated',
    )
    expect(await world.registry.isRotationDue(device.deviceId)).toBe(false)
  })

  it('asked for again takes the place of the one that was not used', async () => {
    const first = await rotated()
    const second = await rotated()
    expect(await known(first.certificatePem)).toBe(false)
    expect(await known(second.certificatePem)).toBe(true)
  })

  it('used on two processes at once is taken over once', async () => {
    const { certificatePem } = await rotated()
    const second = await world.anotherRegistry()
    const outcomes = await Promise.all(
      [world.registry, second, world.registry, second].map((registry) =>
        refusal(registry.verifyDeviceCertificate(der(certificatePem))),
      ),
    )
    expect(outcomes).toEqual([undefined, undefined, undefined, undefined])
  })

  it('is refused without the old key’s word for this request and this nonce', async () => {
    const { deviceId } = device
    const nonce = randomBytes(32)
    const own = await renew(nonce)
    const other = await world.provisionOne('hearth-lock')
    const foreign = await renew(nonce, other)
    const answers = [
      { nonce: randomBytes(32), request: own.request, signature: own.signature },
      { nonce, request: foreign.request, signature: foreign.signature },
      { nonce, request: foreign.request, signature: own.signature },
      { nonce, request: own.request, signature: Buffer.alloc(64) },
      { nonce, request: own.request, signature: Buffer.alloc(0) },
    ]
    for (const [at, answer] of answers.entries()) {
      const outcome = await refusal(world.registry.rotateCredential({ deviceId, ...answer }))
      expect([at, outcome]).toEqual([at, 'invalid_request'])
    }
  })

  it('is refused when the request is none, or for a key that some device has', async () => {
    const { deviceId } = device
    const nonce = randomBytes(32)
    const vouch = (request: Buffer) => ({
      deviceId,
      nonce,
      request,
      signature: sign('sha256', Buffer.concat([request, nonce]), {
        key: createPrivateKey(device.privateKeyPem?.reveal() ?? ''),
        dsaEncoding: 'ieee-p1363',
      }),
    })
    expect(await refusal(world.registry.rotateCredential(vouch(Buffer.from('x'))))).toBe('invalid_request')
    expect(await refusal(world.registry.rotateCredential(vouch(Buffer.alloc(5000))))).toBe('invalid_request')
    const { request } = await renew(nonce)
    await world.registry.provision({
      modelId: (await world.registry.modelByName('hearth-lock'))?.id as never,
      requests: [
        `-----BEGIN CERTIFICATE REQUEST-----\n${request.toString('base64')}\n-----END CERTIFICATE REQUEST-----`,
      ],
    })
    expect(await refusal(world.registry.rotateCredential(vouch(request)))).toBe('invalid_request')
  })

  it('is refused when none is due, and for models that cannot', async () => {
    const { id } = await world.registry.addModel({
      name: 'fixed-plug',
      title: 'Plug',
      vendor: 'Test',
      deviceType: 'OnOffPlugInUnit',
      claimPolicy: 'possession',
    })
    const [fixed] = await world.registry.provision({ modelId: id, count: 1 })
    expect(await due([fixed?.deviceId as DeviceId, device.deviceId])).toBe(1)
    const nonce = randomBytes(32)
    const { request, signature } = await renew(nonce, fixed)
    const deviceId = fixed?.deviceId as DeviceId
    expect(await refusal(world.registry.rotateCredential({ deviceId, nonce, request, signature }))).toBe(
      'not_found',
    )
  })

  it('is for the server to ask: a household cannot send such a command', async () => {
    const model = await world.registry.modelByName('hearth-lock')
    const checked = model?.checkCommand('OperationalCredentials.UpdateNOC', {})
    expect(checked).toMatchObject({ ok: false })
    const credentials = await world.registry.addModel({
      name: 'with-credentials',
      title: 'Plug',
      vendor: 'Test',
      deviceType: 'OnOffPlugInUnit',
      clusters: ['OperationalCredentials'],
      claimPolicy: 'possession',
    })
    const args = { CsrNonce: Buffer.alloc(32).toString('base64') }
    expect(credentials.checkCommand('OperationalCredentials.CsrRequest', args)).toMatchObject({ ok: false })
  })
})
