import { Command, CommanderError, Help } from 'commander'
import { type ClientError, isClientError } from '../client/index.ts'
import { type AppError, isAppError, systemClock } from '../core/index.ts'
import { readClientConfig } from '../main/index.ts'
import { addAuditCommands } from './audit.ts'
import { addCatalogueCommand } from './catalogue.ts'
import { type CliContext, createContext } from './context.ts'
import { addControlCommands } from './control.ts'
import { addCopyCommands } from './copies.ts'
import { addDeviceTokenCommand } from './device-token.ts'
import { addDisputeCommands } from './disputes.ts'
import { addDrillCommand } from './drill.ts'
import { addEraseCommand } from './erase-me.ts'
import { addExportCommand } from './export.ts'
import { addExposureCommands } from './exposures.ts'
import { addFactoryCommands } from './factory.ts'
import { addFindingCommands } from './findings.ts'
import { addHomeCommands } from './homes.ts'
import { addMetricCommands } from './metrics.ts'
import { addOperatorCommands } from './operators.ts'
import { addOutboxCommands } from './outbox.ts'
import { addPasskeyCommands } from './passkeys.ts'
import { addPasswordCommand } from './password.ts'
import { addPastDeviceCommands } from './past-devices.ts'
import { addPeopleCommands } from './people.ts'
import { addPressResetCommand } from './press-reset.ts'
import { addProbeCommand } from './probe.ts'
import { addRecoveryCommands } from './recovery.ts'
import { addResetCommands } from './reset.ts'
import { addSecondFactorCommands } from './second-factor.ts'
import { addSessionCommands } from './sessions.ts'
import { addSignUpCommands } from './sign-up.ts'
import { addSimulateCommand } from './simulate.ts'
import { addStartCommand } from './start.ts'
import { addStoreCommands } from './stores.ts'
import { addSupportOperatorCommands } from './support.ts'
import { addTenureCommands } from './tenures.ts'
import { clean, type Terminal } from './terminal.ts'
import { addWatchCommands } from './watch.ts'

/** The `hearthlock` command. Answers its exit code: 0 done, 1 not done and why on standard error. */
export async function runCli(
  args: string[],
  terminal: Terminal = process,
  env = process.env,
): Promise<number> {
  const stop = new AbortController()
  const onSignal = () => stop.abort()
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  // Whoever reads has heard enough (`| head`): the end of a command that would go on for ever, and no failure.
  const onStdoutError = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    stop.abort()
  }
  terminal.stdout.on('error', onStdoutError)
  let context: CliContext | undefined
  try {
    context = createContext({
      terminal,
      env,
      config: readClientConfig(env),
      clock: systemClock,
      signal: stop.signal,
    })
    await buildProgram(context).parseAsync(args, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    return explain(terminal, error, context?.lastAs() === 'operator' ? ' --operator' : '')
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

function buildProgram(context: CliContext): Command {
  const { terminal } = context
  const help = new Help()
  const program = new Command('hearthlock')
    .description('A self-hosted cloud for makers of smart-home devices, whose stolen copy is hollow.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
    })
    .configureHelp({
      subcommandTerm: (command) => help.subcommandTerm(command).replace(' [options]', ''),
      optionDescription: (option) =>
        `${help.optionDescription(option)}${option.mandatory ? ' (required)' : ''}`,
    })
    .showHelpAfterError('(add --help to see how it is used)')
    // "homes support give --home X": the option is the last command's, though "homes support" has one of that name.
    .enablePositionalOptions()
    .hook('preAction', (_program, command) => refuseUnknown(command))
    .allowExcessArguments(true)
  program.commandsGroup('Run it:')
  addStartCommand(program, context)
  program.commandsGroup('Your account:')
  addSignUpCommands(program, context)
  addPeopleCommands(program, context)
  addRecoveryCommands(program, context)
  addSessionCommands(program, context)
  addPasskeyCommands(program, context)
  addPasswordCommand(program, context)
  addSecondFactorCommands(program, context)
  addExportCommand(program, context)
  addEraseCommand(program, context)
  program.commandsGroup('Your homes and devices:')
  addHomeCommands(program, context)
  addControlCommands(program, context)
  addWatchCommands(program, context)
  program.commandsGroup('Devices that change hands:')
  addTenureCommands(program, context)
  addPastDeviceCommands(program, context)
  program.commandsGroup('For operators:')
  addOperatorCommands(program, context)
  addSupportOperatorCommands(program, context)
  addFactoryCommands(program, context)
  addPressResetCommand(program, context)
  addOutboxCommands(program, context)
  addDisputeCommands(program, context)
  addDrillCommand(program, context)
  addStoreCommands(program, context)
  addFindingCommands(program, context)
  addAuditCommands(program, context)
  addResetCommands(program, context)
  addExposureCommands(program, context)
  addCatalogueCommand(program, context)
  addCopyCommands(program, context)
  addMetricCommands(program, context)
  program.commandsGroup('For any store, also without Hearthlock:')
  addProbeCommand(program, context)
  program.commandsGroup('For trying things out:')
  addDeviceTokenCommand(program, context)
  addSimulateCommand(program, context)
  return program
}

/** Commander would count arguments, where a command that has commands of its own was given one that it has not. */
function refuseUnknown(command: Command): void {
  const extra = command.args[command.registeredArguments.length]
  if (extra === undefined || command.registeredArguments.at(-1)?.variadic) return
  const known = command.commands.map((each) => each.name()).join(', ')
  const what = known ? `unknown command '${extra}'; there are: ${known}` : `unexpected argument '${extra}'`
  command.error(`error: ${clean(what)}`)
}

function explain({ stderr }: Terminal, error: unknown, whose: string): number {
  // Commander has printed its own message already.
  if (error instanceof CommanderError) return error.exitCode
  if (isAppError(error) || isClientError(error)) {
    const message = error.message.replace(REQUEST_PART, '')
    stderr.write(`hearthlock: ${clean(message)}${whatToDo(error, whose)}\n`)
    return 1
  }
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT' && 'path' in error) {
    stderr.write(`hearthlock: there is no file or folder ${clean(String(error.path))}\n`)
    return 1
  }
  const reason = error instanceof Error ? error.message : 'unknown'
  stderr.write(`hearthlock: that did not work: ${clean(reason)}\n`)
  return 1
}

/** In which part of a request something is wrong is of no use to a person. */
const REQUEST_PART = /^(params|query|body)\//

function whatToDo(error: AppError | ClientError, whose: string): string {
  if (isClientError(error, 'unauthenticated') || isClientError(error, 'fresh_sign_in_needed'))
    return ` Use: npx hearthlock sign-in${whose}`
  if (error.retryAfterSeconds) return ` Try again in ${error.retryAfterSeconds} s.`
  return ''
}
