import { request } from 'node:http'

export interface Asked {
  method: string
  path: string
  headers?: Record<string, string>
  body?: unknown
  /** Sent as a form, not as JSON. */
  form?: Record<string, string>
}

export interface Answered {
  status: number
  headers: Record<string, string | string[] | undefined>
}

/**
 * Requests that each come from another network: limits hold for one, and behind them a check that is not there would
 * pass for one that is. Every address of 127.0.0.0/8 is this machine's own; where it is not so, all come from one.
 */
export function createHttpDoor(url: string): (asked: Asked) => Promise<Answered> {
  const { hostname, port, host } = new URL(url)
  let network = 0
  return ({ method, path, headers = {}, body, form }) => {
    network += 1
    const payload = form
      ? new URLSearchParams(form).toString()
      : body === undefined
        ? undefined
        : JSON.stringify(body)
    const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: hostname === 'localhost' ? '127.0.0.1' : hostname,
          port,
          method,
          path,
          agent: false,
          ...(process.platform === 'linux' ? { localAddress: loopback(network) } : {}),
          headers: {
            host,
            accept: 'application/json',
            ...(payload === undefined
              ? {}
              : { 'content-type': type, 'content-length': Buffer.byteLength(payload) }),
            ...headers,
          },
        },
        (response) => {
          response.resume()
          response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }))
          response.on('error', reject)
        },
      )
      sent.on('error', reject)
      sent.setTimeout(30_000, () => sent.destroy(new Error('no answer')))
      sent.end(payload)
    })
  }
}

/** Never 127.0.0.1 itself, from where honest clients come. */
export function loopback(number: number): string {
  return `127.${1 + ((number >> 16) & 63)}.${(number >> 8) & 255}.${number & 255 || 1}`
}
