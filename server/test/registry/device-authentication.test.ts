import 'reflect-metadata'
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  webcrypto,
  X509Certificate,
} from 'node:crypto'
import { X509CertificateGenerator } from '@peculiar/x509'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DeviceId, newId } from '../../src/core/index.ts'
import { isDeviceToken } from '../../src/registry/device-token.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import { createWorld, refusal, START_MS, type World } from './world.ts'

let world: World
let device: ProvisionedDevice
let other: ProvisionedDevice
beforeAll(async () => {
  world = await createWorld()
  device = await world.provisionOne('hearth-lock', true)
  other = await world.provisionOne('hearth-lock', true)
})
afterAll(() => world.close())

const NOW = Math.floor(START_MS / 1000)
const keyOf = ({ privateKeyPem }: ProvisionedDevice) => createPrivateKey(privateKeyPem?.reveal() ?? '')
const claims = (deviceId: string) => ({ sub: deviceId, aud: 'hearthlock', iat: NOW, exp: NOW + 600 })
const part = (value: object | string) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

function token(key: KeyObject, payload: object, header: object = { alg: 'ES256' }): string {
  const signed = `${part(header)}.${part(payload)}`
  const signature =
    key.asymmetricKeyType === 'ed25519'
      ? sign(null, Buffer.from(signed), key)
      : sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

describe('a device token', () => {
  it('admits the device that signed it', async () => {
    const identity = await world.registry.verifyDeviceToken(
      device.deviceId,
      token(keyOf(device), claims(device.deviceId)),
    )
    expect(identity).toMatchObject({ deviceId: device.deviceId, method: 'token', tenure: undefined })
    expect(identity.model.name).toBe('hearth-lock')
  })

  it('may come from a common library, with an audience in a list', async () => {
    const jwt = await new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT' })
      .setSubject(device.deviceId)
      .setAudience(['elsewhere', 'hearthlock'])
      .setIssuedAt(NOW)
      .setExpirationTime(NOW + 3600)
      .sign(keyOf(device))
    expect(await refusal(world.registry.verifyDeviceToken(device.deviceId, jwt))).toBeUndefined()
  })

  it('is refused when it is another device’s', async () => {
    const foreign = token(keyOf(other), claims(other.deviceId))
    expect(await refusal(world.registry.verifyDeviceToken(device.deviceId, foreign))).toBe('unauthenticated')
    // Signed by the other device, in this one's name; and this device's own, for the other's place.
    const forged = token(keyOf(other), claims(device.deviceId))
    expect(await refusal(world.registry.verifyDeviceToken(device.deviceId, forged))).toBe('unauthenticated')
    const misnamed = token(keyOf(device), claims(other.deviceId))
    expect(await refusal(world.registry.verifyDeviceToken(device.deviceId, misnamed))).toBe('unauthenticated')
  })

  it('is refused with alg none, with HS256 over the public key, and with any algorithm but the key’s', async () => {
    const body = `${part({ alg: 'none' })}.${part(claims(device.deviceId))}`
    const publicKey = createPublicKey(keyOf(device))
    const secrets = [
      publicKey.export({ type: 'spki', format: 'pem' }),
      publicKey.export({ type: 'spki', format: 'der' }),
      device.certificatePem,
    ]
    const symmetric = secrets.map((secret) => {
      const signed = `${part({ alg: 'HS256' })}.${part(claims(device.deviceId))}`
      return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
    })
    // The right signature under a header that lies.
    const lies = ['EdDSA', 'ES384', 'es256', 'HS256', 'none', undefined].map((alg) =>
      token(keyOf(device), claims(device.deviceId), { alg }),
    )
    for (const jwt of [`${body}.`, body, `${body}.AA`, ...symmetric, ...lies]) {
      expect(await refusal(world.registry.verifyDeviceToken(device.deviceId, jwt))).toBe('unauthenticated')
    }
  })

  it('is refused for the wrong time, audience or form', async () => {
    const good = claims(device.deviceId)
    const changes: object[] = [
      { exp: NOW - 61, iat: NOW - 600 },
      { exp: NOW + 3601 },
      { exp: NOW + 10 * 365 * 86_400 },
      { iat: NOW + 61, exp: NOW + 600 },
      { iat: NOW + 10, exp: NOW + 5 },
      { exp: undefined },
      { iat: undefined },
      { exp: `${NOW + 600}` },
      { iat: null },
      { nbf: NOW + 61 },
      { nbf: 'soon' },
      { aud: 'elsewhere' },
      { aud: undefined },
      { aud: ['elsewhere'] },
      { aud: { hearthlock: true } },
      { sub: undefined },
      { sub: device.deviceId.toUpperCase() },
    ]
    for (const change of changes) {
      const jwt = token(keyOf(device), { ...good, ...change })
      expect([change, await refusal(world.registry.verifyDeviceToken(device.deviceId, jwt))]).toEqual([
        change,
        'unauthenticated',
      ])
    }
    const whole = token(keyOf(device), good)
    const malformed = [
      '',
      '.',
      '..',
      'a.b',
      `${whole}.x`,
      `${whole}=`,
      ` ${whole}`,
      whole.slice(0, -4),
      'x'.repeat(100_000),
    ]
    const critical = token(keyOf(device), good, { alg: 'ES256', crit: ['x'], x: 1 })
    const arrays = token(keyOf(device), [good])
    for (const jwt of [...malformed, critical, arrays]) {
      expect(await refusal(world.registry.verifyDeviceToken(device.deviceId, jwt))).toBe('unauthenticated')
    }
  })

  it('is allowed a minute for clocks that differ', async () => {
    for (const change of [
      { exp: NOW - 59, iat: NOW - 600 },
      { iat: NOW + 59, exp: NOW + 600 },
      { iat: NOW - 3000, exp: NOW + 600 },
    ]) {
      const jwt = token(keyOf(device), { ...claims(device.deviceId), ...change })
      expect(await refusal(world.registry.verifyDeviceToken(device.deviceId, jwt))).toBeUndefined()
    }
  })

  it('with an Ed25519 key is EdDSA and nothing else', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const id = newId<DeviceId>()
    expect(isDeviceToken(token(privateKey, claims(id), { alg: 'EdDSA' }), publicKey, id, START_MS)).toBe(true)
    expect(isDeviceToken(token(privateKey, claims(id), { alg: 'ES256' }), publicKey, id, START_MS)).toBe(
      false,
    )
    const stranger = generateKeyPairSync('ed25519').privateKey
    expect(isDeviceToken(token(stranger, claims(id), { alg: 'EdDSA' }), publicKey, id, START_MS)).toBe(false)
  })

  it('is refused when one bit of it differs', async () => {
    const whole = token(keyOf(device), claims(device.deviceId))
    const dots = [whole.indexOf('.'), whole.lastIndexOf('.')]
    for (let at = 0; at < whole.length - 1; at += 7) {
      if (dots.includes(at)) continue
      const changed = `${whole.slice(0, at)}${whole[at] === 'A' ? 'B' : 'A'}${whole.slice(at + 1)}`
      expect(await refusal(world.registry.verifyDeviceToken(device.deviceId, changed))).toBe(
        'unauthenticated',
      )
    }
  })
})

describe('a device password', () => {
  it('admits the device that it was made for, and no other', async () => {
    const password = device.password?.reveal() ?? ''
    const identity = await world.registry.verifyDevicePassword(device.deviceId, password)
    expect(identity).toMatchObject({ deviceId: device.deviceId, method: 'password' })
    expect(await refusal(world.registry.verifyDevicePassword(other.deviceId, password))).toBe(
      'unauthenticated',
    )
    for (const wrong of ['', `${password}x`, password.slice(1), password.toLowerCase(), 'x'.repeat(10_000)]) {
      expect(await refusal(world.registry.verifyDevicePassword(device.deviceId, wrong))).toBe(
        'unauthenticated',
      )
    }
  })

  it('is no way in for a device that was made without one', async () => {
    const plain = await world.provisionOne('hearth-bulb')
    for (const guess of ['', 'null', 'undefined']) {
      expect(await refusal(world.registry.verifyDevicePassword(plain.deviceId, guess))).toBe(
        'unauthenticated',
      )
    }
  })

  it('whose digest is moved to another device’s row opens nothing', async () => {
    const [thief, victim] = [
      await world.provisionOne('hearth-bulb', true),
      await world.provisionOne('hearth-bulb', true),
    ]
    await world.database.pool.query(
      'update registry.device set password_digest = (select password_digest from registry.device where device_id = $1) where device_id = $2',
      [thief.deviceId, victim.deviceId],
    )
    const password = thief.password?.reveal() ?? ''
    expect(await refusal(world.registry.verifyDevicePassword(victim.deviceId, password))).toBe(
      'unauthenticated',
    )
  })
})

describe('a device certificate', () => {
  const der = (pem: string) => new X509Certificate(pem).raw

  it('admits the device', async () => {
    const identity = await world.registry.verifyDeviceCertificate(der(device.certificatePem))
    expect(identity).toMatchObject({ deviceId: device.deviceId, method: 'certificate' })
  })

  it('is refused with another key under the device’s name, another name, or more names', async () => {
    const keys = (await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ])) as webcrypto.CryptoKeyPair
    const spki = createPublicKey(device.certificatePem).export({ type: 'spki', format: 'der' })
    const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' }
    const forged = [
      await X509CertificateGenerator.createSelfSigned({
        name: `CN=${device.deviceId}`,
        keys,
        signingAlgorithm,
      }),
      ...(await Promise.all(
        [
          `CN=${other.deviceId}`,
          `CN=${device.deviceId}, O=x`,
          `CN=${device.deviceId}, CN=${other.deviceId}`,
          'CN=x',
          `O=${device.deviceId}`,
        ].map((subject) =>
          X509CertificateGenerator.create({
            subject,
            issuer: subject,
            publicKey: Buffer.from(spki),
            signingKey: keys.privateKey,
            signingAlgorithm,
          }),
        ),
      )),
    ]
    for (const certificate of forged) {
      expect(await refusal(world.registry.verifyDeviceCertificate(Buffer.from(certificate.rawData)))).toBe(
        'unauthenticated',
      )
    }
    for (const nonsense of [
      Buffer.alloc(0),
      Buffer.from('nonsense'),
      Buffer.alloc(100_000),
      der(world.registry.authorityCertificate()),
    ]) {
      expect(await refusal(world.registry.verifyDeviceCertificate(nonsense))).toBe('unauthenticated')
    }
  })
})

describe('every way in', () => {
  it('is closed to a device that is unknown or disabled, with one and the same error', async () => {
    const gone = await world.provisionOne('hearth-cam', true)
    const attempts = (id: string) => [
      () => world.registry.verifyDeviceCertificate(new X509Certificate(gone.certificatePem).raw),
      () => world.registry.verifyDeviceToken(id, token(keyOf(gone), claims(id))),
      () => world.registry.verifyDevicePassword(id, gone.password?.reveal() ?? ''),
    ]
    for (const attempt of attempts(gone.deviceId)) expect(await refusal(attempt())).toBeUndefined()
    await world.database.pool.query('update registry.device set disabled = true where device_id = $1', [
      gone.deviceId,
    ])
    const strangers = [newId<DeviceId>(), '', 'x', `${gone.deviceId} `, "' or true --"].flatMap((id) =>
      attempts(id).slice(1),
    )
    const outcomes = await Promise.allSettled(
      [...attempts(gone.deviceId), ...strangers].map((attempt) => attempt()),
    )
    const errors = outcomes.map((outcome) =>
      outcome.status === 'rejected'
        ? `${outcome.reason.code} ${outcome.reason.message} ${outcome.reason.detail}`
        : 'admitted',
    )
    expect(new Set(errors)).toEqual(
      new Set(['unauthenticated The device is not known by this credential. undefined']),
    )
  })

  it('tells the current tenure', async () => {
    const held = await world.provisionOne('hearth-plug', true)
    world.online.add(held.deviceId)
    const { accountId, household } = await world.settle()
    const tenure = await world.registry.claim({
      accountId,
      householdId: household.householdId,
      code: held.claimCode,
    })
    expect(
      (await world.registry.verifyDevicePassword(held.deviceId, held.password?.reveal() ?? '')).tenure,
    ).toEqual(tenure)
  })
})
