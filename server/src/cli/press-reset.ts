import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { renderUnicodeCompact } from 'uqr'
import { Secret } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { print } from './terminal.ts'

/** In the part of a device whose files are here, for trying things out. */
export function addPressResetCommand(program: Command, context: CliContext): void {
  const { terminal } = context
  program
    .command('press-reset <folder>')
    .description(
      'do what a device does when its reset button is held down; the folder is one that "provision" wrote',
    )
    .summary('hold down the reset button of a provisioned device')
    .option('--mqtt <url>', 'where devices connect; by default port 8883 of the server')
    .action(async (folder: string, { mqtt }: { mqtt?: string }) => {
      const { pressReset } = await import('../simulator/index.ts')
      const read = (name: string) => readFile(join(folder, name), 'utf8')
      const [deviceId, authorityPem, certificatePem, key] = await Promise.all(
        ['device-id', 'authority.pem', 'device.pem', 'device.key'].map(read),
      )
      const code = await pressReset({
        deviceId: (deviceId as string).trim(),
        credential: { certificatePem: certificatePem as string, privateKeyPem: new Secret(key as string) },
        mqttUrl: mqtt ?? `mqtts://${new URL(context.config.url).hostname}:8883`,
        authorityPem: authorityPem as string,
      })
      print(terminal, code.reveal())
      print(terminal, renderUnicodeCompact(`HEARTH:1:${code.reveal().replaceAll('-', '')}`))
      print(
        terminal,
        'The device shows this code. It claims the device within 15 minutes; no earlier code does any more.',
      )
    })
}
