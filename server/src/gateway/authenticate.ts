import { isAppError } from '../core/index.ts'
import type { DeviceIdentity } from '../registry/index.ts'
import type { GatewayRegistry } from './face.ts'
import type { PeerCertificate } from './peer-certificate.ts'
import { type Refusal, reason } from './reason-codes.ts'

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/

export interface Credentials {
  certificate: PeerCertificate | undefined
  username: string | undefined
  password: Buffer | undefined
}

/**
 * Who is it? A client certificate, where one is presented, is the identity and nothing else is looked at. Otherwise
 * the user name is the device id and the password is a token signed by the device's key, or the device's password.
 * All that does not hold looks alike from outside.
 */
export async function authenticate(
  registry: GatewayRegistry,
  { certificate, username, password }: Credentials,
): Promise<DeviceIdentity | Refusal> {
  try {
    if (certificate)
      return certificate.trusted ? await registry.verifyDeviceCertificate(certificate.der) : refused
    if (username === undefined || password === undefined) return refused
    const secret = password.toString('utf8')
    return JWT.test(secret)
      ? await registry.verifyDeviceToken(username, secret)
      : await registry.verifyDevicePassword(username, secret)
  } catch (error) {
    if (isAppError(error, 'unauthenticated')) return refused
    if (isAppError(error, 'unavailable'))
      return { code: reason.serverUnavailable, text: 'the server is busy or starting: try again shortly' }
    throw error
  }
}

const refused: Refusal = {
  code: reason.badUserNameOrPassword,
  text: 'the credentials are not accepted',
}
