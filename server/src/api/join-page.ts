import { page } from '../identity/index.ts'
import type { RouteParts } from './app.ts'

const SCRIPT = `const code = decodeURIComponent(location.hash.slice(1))
document.getElementById('code').textContent = /^[0-9A-Za-z-]{16,24}$/.test(code) ? code : 'The link is not complete.'
history.replaceState(null, '', location.pathname)`

const { html, headers } = page({
  title: 'An invitation',
  body: `<h1>You are invited into a home</h1>
<p>Sign in, or sign up first, then enter this code. It works once.</p>
<code class="code" id="code">To see the code, allow this page to run its script.</code>
<p>On the command line: <code>npx hearthlock homes join</code></p>`,
  script: SCRIPT,
})

/**
 * Where the link of an invitation leads. The code stands after the #, so that it reaches neither this server nor a log
 * or referrer; the page reads it there, shows it, and takes it out of the address.
 */
export function joinPageRoutes({ app }: Pick<RouteParts, 'app'>): void {
  app.get('/join', { schema: { hide: true } }, async (_request, reply) =>
    reply.headers({ ...headers, 'referrer-policy': 'no-referrer' }).send(html),
  )
}
