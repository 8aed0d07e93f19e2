import { createLog, type Log, type LogLevel } from '../core/index.ts'
import { clean, type Terminal } from './terminal.ts'

/** The server's log for a person at a terminal: a line of words for each entry, instead of JSON. */
export function terminalLog({ stderr }: Terminal, level: LogLevel): Log {
  return createLog({
    level,
    destination: {
      write(entry) {
        const { level: severity, time, msg, ...fields } = JSON.parse(entry)
        const mark = severity >= WARN ? '!' : '·'
        const at = new Date(time).toLocaleTimeString('en-GB')
        const more = Object.entries(fields).map(([name, value]) => `  ${name}=${JSON.stringify(value)}`)
        // Over a progress line that may stand there.
        stderr.write(`\r\u001b[2K  ${mark} ${at}  ${clean(`${msg}${more.join('')}`)}\n`)
      },
    },
  })
}

/** pino's number for `warn`. */
const WARN = 40
