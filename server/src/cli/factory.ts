import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { renderUnicodeCompact } from 'uqr'
import { AppError } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { writeDeviceFiles } from './device-files.ts'
import type { ProvisionedShape } from './shapes.ts'
import { print, table } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

export function addFactoryCommands(program: Command, context: CliContext): void {
  const { terminal } = context

  const models = program
    .command('models')
    .description('list the models; "models add" adds one (role engineer)')
  models.action(async () => {
    const { models } = await context.as('operator').request<{ models: ModelShape[] }>('GET', '/v1/models')
    const rows = models.map((model) => [
      model.name,
      model.title,
      model.vendor,
      model.deviceType,
      model.claimPolicy,
    ])
    table(terminal, {
      header: ['NAME', 'TITLE', 'VENDOR', 'DEVICE TYPE', 'CLAIM POLICY'],
      rows,
      none: 'No models yet. Add one with: npx hearthlock models add server/models/hearth-bulb.json',
    })
  })
  models
    .command('add <file>')
    .description('add a model from its JSON description')
    .action(async (file: string) => {
      const model = await context
        .as('operator')
        .request<ModelShape>('POST', '/v1/models', { body: await readJson(file) })
      print(terminal, `Added ${model.name}.`)
    })

  program
    .command('provision')
    .description('make devices: identity, certificate and claim code (role engineer)')
    .requiredOption('--model <name>', 'of which model; "hearthlock models" lists them')
    .option('--count <count>', 'how many, 1 to 1000; their keys are made here', wholeNumber(1, 1_000))
    .option('--request <file...>', 'signed requests (PKCS#10, PEM) that the factory brought, one device each')
    .option('--with-password', 'also a password, for firmware that knows neither certificates nor tokens')
    .requiredOption('--out <folder>', 'where to write what goes into each device')
    .action(async (options: ProvisionOptions) => {
      const operator = context.as('operator')
      const requests =
        options.request && (await Promise.all(options.request.map((file) => readFile(file, 'utf8'))))
      if (requests === undefined && options.count === undefined) {
        throw new AppError('invalid_request', { message: 'Say --count, or bring requests with --request.' })
      }
      const body = {
        model: options.model,
        ...(requests ? { requests } : { count: options.count }),
        ...(options.withPassword ? { withPassword: true } : {}),
      }
      const { certificate } = await operator.request<{ certificate: string }>('GET', '/v1/device-authority')
      const { devices } = await operator.request<{ devices: ProvisionedShape[] }>('POST', '/v1/devices', {
        body,
      })
      for (const device of devices) {
        const folder = await writeDeviceFiles(options.out, device, certificate)
        print(terminal, `${device.deviceId}  ${device.claimCode}  ${folder}`)
        if (devices.length === 1) print(terminal, renderUnicodeCompact(device.qr))
      }
      print(terminal, 'The server keeps public keys and digests only: these files cannot be made again.')
    })
}

interface ModelShape {
  name: string
  title: string
  vendor: string
  deviceType: string
  claimPolicy: string
}

interface ProvisionOptions {
  model: string
  count?: number
  request?: string[]
  withPassword?: true
  out: string
}

async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('invalid_request', { message: `${file} is not JSON.`, cause })
  }
}
