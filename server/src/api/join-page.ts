import { createHash } from 'node:crypto'
import type { RouteParts } from './app.ts'

const SCRIPT = `const code = decodeURIComponent(location.hash.slice(1))
document.getElementById('code').textContent = /^[0-9A-Za-z-]{16,24}$/.test(code) ? code : 'The link is not complete.'
history.replaceState(null, '', location.pathname)`
const STYLE = `body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1.5rem;
color-scheme: light dark; color: CanvasText; background: Canvas }
#code { font: 1.5rem ui-monospace, monospace; display: block; margin: 1.5rem 0 }`
const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>An invitation</title>
<style>${STYLE}</style>
<h1>You are invited into a home</h1>
<p>Sign in, then enter this code. It works once.</p>
<code id="code">To see the code, allow this page to run its script.</code>
<p>On the command line: <code>npx hearthlock homes join</code></p>
<script>${SCRIPT}</script>
</html>
`

/**
 * Where the link of an invitation leads. The code stands after the #, so that it reaches neither this server nor a log
 * or referrer; the page reads it there, shows it, and takes it out of the address.
 */
export function joinPageRoutes({ app }: Pick<RouteParts, 'app'>): void {
  app.get('/join', { schema: { hide: true } }, async (_request, reply) =>
    reply
      .header(
        'content-security-policy',
        `default-src 'none'; script-src ${hash(SCRIPT)}; style-src ${hash(STYLE)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      )
      .type('text/html; charset=utf-8')
      .send(PAGE),
  )
}
