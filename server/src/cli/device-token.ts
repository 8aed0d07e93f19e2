import { createPrivateKey, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { print } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

export function addDeviceTokenCommand(program: Command, { terminal, clock }: CliContext): void {
  program
    .command('device-token <folder>')
    .description(
      'make a short-lived MQTT password (a JWT) with the key in a provisioned device folder, as its firmware would',
    )
    .summary('an MQTT password (JWT), as firmware makes it')
    .option('--seconds <count>', 'how long it is good for, 1 to 3600', wholeNumber(1, 3_600), 300)
    .action(async (folder: string, { seconds }: { seconds: number }) => {
      const deviceId = (await readFile(join(folder, 'device-id'), 'utf8')).trim()
      const key = createPrivateKey(await readFile(join(folder, 'device.key')))
      const issuedAt = Math.floor(clock.nowMs() / 1_000)
      const isEd25519 = key.asymmetricKeyType === 'ed25519'
      const header = { alg: isEd25519 ? 'EdDSA' : 'ES256', typ: 'JWT' }
      const claims = { sub: deviceId, aud: 'hearthlock', iat: issuedAt, exp: issuedAt + seconds }
      const signed = `${encode(header)}.${encode(claims)}`
      // RFC 7518 section 3.4: an ES256 signature is the two numbers side by side, not DER.
      const signature = sign(isEd25519 ? null : 'sha256', Buffer.from(signed), {
        key,
        dsaEncoding: 'ieee-p1363',
      })
      print(terminal, `${signed}.${signature.toString('base64url')}`)
    })
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
