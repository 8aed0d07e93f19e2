import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { renderSVG } from 'uqr'
import type { ProvisionedShape } from './shapes.ts'

/** Writes what goes into one device and onto its label: a folder of its own, readable by this user only. */
export async function writeDeviceFiles(
  out: string,
  device: ProvisionedShape,
  authorityPem: string,
): Promise<string> {
  const folder = join(out, device.deviceId)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const write = (name: string, text: string) =>
    writeFile(join(folder, name), text, { mode: 0o600, flag: 'wx' })
  await write('device-id', `${device.deviceId}\n`)
  await write('authority.pem', authorityPem)
  await write('device.pem', device.certificate)
  if (device.privateKey !== undefined) await write('device.key', device.privateKey)
  if (device.password !== undefined) await write('password', `${device.password}\n`)
  await write('claim-code', `${device.claimCode}\n`)
  await write('claim-code.svg', renderSVG(device.qr))
  return folder
}
