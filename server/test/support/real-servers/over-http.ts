import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'

export interface Asked {
  port: number
  path: string
  method?: string
  body?: string
  tls?: boolean
  headers?: Record<string, string>
}

/** An ordinary client's request, for setting a real server up: any certificate goes. */
export function ask(o: Asked): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = o.tls ? requestTls : requestPlain
    const sent = request(
      {
        host: '127.0.0.1',
        port: o.port,
        path: o.path,
        method: o.method ?? (o.body === undefined ? 'GET' : 'POST'),
        headers: { 'content-type': 'application/json', ...o.headers },
        timeout: 10_000,
        agent: false,
        ...(o.tls && { rejectUnauthorized: false }),
      },
      (answer) => {
        let body = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk) => {
          body += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
        answer.on('error', reject)
      },
    )
    sent.on('error', reject)
    sent.on('timeout', () => sent.destroy(new Error('no answer')))
    sent.end(o.body)
  })
}

/** Whether it answers, whatever its status below 500. */
export async function answers(o: Asked): Promise<boolean> {
  return (await ask(o)).status < 500
}
