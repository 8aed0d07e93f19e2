import type { FastifyRequest } from 'fastify'
import type { PresentedInVain } from '../core/index.ts'
import type { App } from './app.ts'

const MAX_PARTS = 12

/** After the answer: what a refused request showed as a credential or named, and the host that anybody asked for. */
export function noticeRefused(app: App, presentedInVain: PresentedInVain, publicUrl: () => string): void {
  app.addHook('onResponse', async (request, reply) => {
    const host = request.hostname
    const texts = host === hostOf(publicUrl()) ? [] : [host]
    if (reply.raw.statusCode >= 400) texts.push(...shownIn(request))
    presentedInVain('the HTTP API', texts)
  })
}

function shownIn({ headers: { authorization = '' }, raw: { url = '' } }: FastifyRequest): string[] {
  const [scheme = '', credential = ''] = authorization.split(' ', 2)
  const shown =
    scheme.toLowerCase() === 'basic' ? Buffer.from(credential, 'base64').toString().split(':') : [credential]
  const target = URL.parse(url, 'http://localhost')
  if (!target) return shown
  return [...shown, ...target.pathname.split('/'), ...target.searchParams.values()]
    .filter((part) => part !== '')
    .slice(0, MAX_PARTS)
}

function hostOf(url: string): string | undefined {
  return URL.parse(url)?.hostname
}
