import 'reflect-metadata'
import { createPrivateKey, createPublicKey, webcrypto, X509Certificate } from 'node:crypto'
import { connect, createServer, type TLSSocket } from 'node:tls'
import {
  BasicConstraintsExtension,
  X509Certificate as ParsedCertificate,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
} from '@peculiar/x509'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { claimCodeQrText, type ProvisionedDevice } from '../../src/registry/index.ts'
import { createWorld, definition, refusal, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

/** What a factory would send: PKCS#10, signed by the key that it is for. */
async function keyRequest(algorithm: 'Ed25519' | 'P-256' | 'P-384' | 'RSA'): Promise<string> {
  const signing = {
    Ed25519: { name: 'Ed25519' },
    'P-256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
    'P-384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
    RSA: {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
    },
  }[algorithm]
  const keys = (await webcrypto.subtle.generateKey(signing, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=ignored',
    keys,
    signingAlgorithm: signing,
  })
  return request.toString('pem')
}

describe('the device authority', () => {
  it('is the same for two processes that start at once', async () => {
    const registries = await Promise.all([1, 2, 3, 4].map(() => world.anotherRegistry()))
    await Promise.all(registries.map((registry) => registry.start()))
    const pems = new Set(registries.map((registry) => registry.authorityCertificate()))
    expect([...pems]).toEqual([world.registry.authorityCertificate()])
  })

  it('is made once when two processes start at once on an empty database', async () => {
    await world.database.pool.query('delete from registry.authority')
    const registries = await Promise.all([1, 2, 3, 4].map(() => world.anotherRegistry()))
    await Promise.all(registries.map((registry) => registry.start()))
    expect(new Set(registries.map((registry) => registry.authorityCertificate())).size).toBe(1)
    await world.registry.start()
  })

  it('is a P-256 authority that may sign end certificates only', () => {
    const certificate = new X509Certificate(world.registry.authorityCertificate())
    expect(certificate.ca).toBe(true)
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    const parsed = new ParsedCertificate(world.registry.authorityCertificate())
    expect(parsed.getExtension(BasicConstraintsExtension)).toMatchObject({ ca: true, pathLength: 0 })
  })
})

describe('the server certificate', () => {
  it('names hosts and addresses, and stays until they change', async () => {
    const first = await world.registry.serverIdentity(['localhost', '127.0.0.1', '::1'])
    const certificate = new X509Certificate(first.certificatePem)
    expect(certificate.checkHost('localhost')).toBe('localhost')
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
    expect(certificate.checkIP('::1')).toBeDefined()
    expect(certificate.checkHost('elsewhere')).toBeUndefined()
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(certificate.checkPrivateKey(createPrivateKey(first.privateKeyPem.reveal()))).toBe(true)
    const again = await world.registry.serverIdentity(['::1', 'localhost', '127.0.0.1'])
    expect(again.certificatePem).toBe(first.certificatePem)
    expect(again.privateKeyPem.reveal()).toBe(first.privateKeyPem.reveal())
    const other = await world.registry.serverIdentity(['iot.example'])
    expect(other.certificatePem).not.toBe(first.certificatePem)
  })

  it('is the same for processes that ask at once', async () => {
    const made = await Promise.all([1, 2, 3, 4].map(() => world.registry.serverIdentity(['at-once.example'])))
    expect(new Set(made.map((each) => each.certificatePem)).size).toBe(1)
  })

  it('is made anew before it ends', async () => {
    const first = await world.registry.serverIdentity(['renewed.example'])
    world.time.nowMs += 330 * 86_400_000
    const renewed = await world.registry.serverIdentity(['renewed.example'])
    expect(renewed.certificatePem).not.toBe(first.certificatePem)
    expect(new X509Certificate(renewed.certificatePem).validToDate.getTime()).toBeGreaterThan(
      world.time.nowMs,
    )
    world.time.nowMs -= 330 * 86_400_000
  })

  it('is refused for names that are none', async () => {
    for (const names of [[], ['*'], ['a b'], ['-x'], [`${'a'.repeat(64)}.example`], ['x'.repeat(300)]]) {
      expect(await refusal(world.registry.serverIdentity(names))).toBe('invalid_request')
    }
  })
})

describe('provisioning', () => {
  it('makes a device that a TLS server with the authority admits, and whose server the device trusts', async () => {
    const device = await world.provisionOne('hearth-lock')
    const server = await world.registry.serverIdentity(['localhost', '127.0.0.1'])
    const ca = world.registry.authorityCertificate()
    const listener = createServer({
      cert: server.certificatePem,
      key: server.privateKeyPem.reveal(),
      ca,
      requestCert: true,
      rejectUnauthorized: true,
    })
    const seen = new Promise<Buffer>((resolve) =>
      listener.once('secureConnection', (socket: TLSSocket) => {
        resolve(socket.getPeerCertificate().raw)
        socket.end()
      }),
    )
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    const { port } = listener.address() as { port: number }
    const socket = connect({
      port,
      host: '127.0.0.1',
      ca,
      cert: device.certificatePem,
      key: device.privateKeyPem?.reveal() ?? '',
    })
    const identity = await world.registry.verifyDeviceCertificate(await seen)
    expect(identity.deviceId).toBe(device.deviceId)
    expect(identity.model.name).toBe('hearth-lock')
    expect(identity.method).toBe('certificate')
    socket.destroy()
    listener.close()
  })

  it('gives each device a certificate of its own for client authentication, without an end', async () => {
    const device = await world.provisionOne('hearth-bulb')
    const certificate = new X509Certificate(device.certificatePem)
    expect(certificate.subject).toBe(`CN=${device.deviceId}`)
    expect(certificate.ca).toBe(false)
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect(certificate.validToDate.toISOString()).toBe('9999-12-31T23:59:59.000Z')
    const authority = new X509Certificate(world.registry.authorityCertificate())
    expect(certificate.checkIssued(authority) && certificate.verify(authority.publicKey)).toBe(true)
    expect(certificate.checkPrivateKey(createPrivateKey(device.privateKeyPem?.reveal() ?? ''))).toBe(true)
  })

  it('makes many devices at once, no two alike', async () => {
    const { id } = await world.registry.addModel(definition('hearth-plug'))
    const devices = await world.registry.provision({ modelId: id, count: 100 }, { withPassword: true })
    const different = (of: (device: ProvisionedDevice) => string | undefined) =>
      new Set(devices.map(of)).size === 100
    expect(different((device) => device.deviceId)).toBe(true)
    expect(different((device) => device.claimCode.reveal())).toBe(true)
    expect(different((device) => device.password?.reveal())).toBe(true)
    expect(different((device) => device.privateKeyPem?.reveal())).toBe(true)
  })

  it('takes signed requests for P-256 and Ed25519 keys, and then knows no private key', async () => {
    const { id } = await world.registry.addModel(definition('hearth-plug'))
    const requests = [await keyRequest('Ed25519'), await keyRequest('P-256')]
    const devices = await world.registry.provision({ modelId: id, requests })
    expect(devices.map((device) => device.privateKeyPem)).toEqual([undefined, undefined])
    for (const device of devices) {
      const { raw } = new X509Certificate(device.certificatePem)
      expect((await world.registry.verifyDeviceCertificate(raw)).deviceId).toBe(device.deviceId)
    }
    expect(createPublicKey(devices[0]?.certificatePem ?? '').asymmetricKeyType).toBe('ed25519')
    expect(await refusal(world.registry.provision({ modelId: id, requests: requests.slice(0, 1) }))).toBe(
      'conflict',
    )
  })

  it('refuses requests with a broken signature, another kind of key, or the same key twice', async () => {
    const { id } = await world.registry.addModel(definition('hearth-plug'))
    const good = await keyRequest('Ed25519')
    const der = Buffer.from(good.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    // A bit of the signature, near the end: all else of the request stays well-formed.
    der[der.length - 5] = (der[der.length - 5] as number) ^ 1
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----`
    expect(new Pkcs10CertificateRequest(forged).subject).toBe('CN=ignored')
    const bad = [
      [forged],
      [await keyRequest('RSA')],
      [await keyRequest('P-384')],
      ['nonsense'],
      [world.registry.authorityCertificate()],
      ['x'.repeat(100_000)],
      [good, good],
      [],
    ]
    for (const requests of bad) {
      expect(await refusal(world.registry.provision({ modelId: id, requests }))).toBe('invalid_request')
    }
  })

  it('refuses a count that is none', async () => {
    const { id } = await world.registry.addModel(definition('hearth-plug'))
    for (const count of [0, -1, 1001, 1.5, Number.NaN]) {
      expect(await refusal(world.registry.provision({ modelId: id, count }))).toBe('invalid_request')
    }
  })

  it('writes the claim code for people and for a camera', async () => {
    const { claimCode } = await world.provisionOne('hearth-cam')
    expect(claimCode.reveal()).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/)
    expect(claimCodeQrText(claimCode).reveal()).toBe(`HEARTH:1:${claimCode.reveal().replaceAll('-', '')}`)
  })
})
