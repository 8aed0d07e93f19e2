import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** An HTML answer: nothing loaded, not framed, not cached; at most one script, our own. */
export interface Page {
  html: string
  headers: Record<string, string>
}

const style = `
:root{color-scheme:light dark;--bg:#f4f1ec;--card:#fff;--ink:#23201c;--soft:#6a635a;--line:#cfc7bb;--edge:#8a8073;--act:#9a3b12;--on:#fff;--bad:#a3120f;--tint:#fbeeec}
@media(prefers-color-scheme:dark){:root{--bg:#1a1714;--card:#25211d;--ink:#f0ebe4;--soft:#b1a89c;--line:#4a433b;--edge:#8f8579;--act:#e08a55;--on:#1a1714;--bad:#ff9a8f;--tint:#3a2523}}
*{box-sizing:border-box}
[hidden]{display:none!important}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:var(--bg);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{width:100%;max-width:24rem;padding:2rem 1.5rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
.mark{margin:0 0 1.25rem;font-weight:600;letter-spacing:.02em;color:var(--act)}
h1{margin:0 0 .5rem;font-size:1.375rem;line-height:1.25}
p{margin:0 0 1.25rem;color:var(--soft);text-wrap:pretty}
p:last-child{margin:0}
.code{display:block;margin:0 0 1.25rem;font:1.25rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.bad{padding:.75rem 1rem;border-left:.25rem solid var(--bad);border-radius:.25rem;background:var(--tint);color:var(--ink)}
label{display:block;margin:0 0 .25rem;font-weight:600}
input{width:100%;margin:0 0 1rem;padding:.7rem .75rem;font:inherit;color:inherit;background:transparent;border:1px solid var(--edge);border-radius:.5rem}
input:focus-visible,button:focus-visible,a:focus-visible{outline:.2rem solid var(--act);outline-offset:.1rem}
button,.button{display:block;width:100%;padding:.8rem;font:inherit;font-weight:600;text-align:center;text-decoration:none;color:var(--on);background:var(--act);border:1px solid var(--act);border-radius:.5rem;cursor:pointer}
button:disabled{opacity:.6;cursor:default}
.second{color:var(--act);background:transparent}
.button.second{margin-top:.75rem}
.aside{display:block;margin-top:1rem;text-align:center;color:var(--act)}
.or{display:flex;align-items:center;gap:.75rem;margin:1.25rem 0;color:var(--soft)}
.or::before,.or::after{content:"";flex:1;border-top:1px solid var(--line)}`
const script = readFileSync(new URL('./page-script.js', import.meta.url), 'utf8')
const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const [styleHash, scriptHash] = [hashOf(style), hashOf(script)]

/** What a person sees when a sign-in can't go on. Takes no input, so that it can reflect none. */
export function errorPage(kind: 'expired' | 'refused' | 'busy' | 'failed'): Page {
  const [title, text] = sentences[kind]
  return page({ title, body: `<h1>${title}</h1>\n<p>${text}</p>` })
}

const sentences = {
  expired: [
    'This sign-in has expired',
    'It was open for too long, or was finished in another window. Go back to the app and start again.',
  ],
  refused: [
    'This sign-in was refused',
    'The app asked for something that is not allowed. Start again from the app.',
  ],
  busy: [
    'Too many sign-ins',
    'There were too many from this network. Wait a minute, then start again from the app.',
  ],
  failed: ['Something went wrong', 'It is not your fault. Wait a moment, then start again from the app.'],
} as const

/**
 * `formAction`: where a form may lead. `scripted`: with page-script.js, which may speak to this server only; or `script`,
 * another one, which may speak to nobody.
 */
export function page(o: {
  title: string
  body: string
  formAction?: string
  scripted?: boolean
  script?: string
}): Page {
  const ran = o.scripted ? script : o.script
  const policy = [
    "default-src 'none'",
    `style-src ${styleHash}`,
    ...(o.scripted ? [`script-src ${scriptHash}`, "connect-src 'self'"] : []),
    ...(o.script === undefined ? [] : [`script-src ${hashOf(o.script)}`]),
    `form-action ${o.formAction ?? "'none'"}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ]
  return {
    html: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${o.title} – Hearthlock</title>
<style>${style}</style>
</head>
<body>
<main>
<div class="mark">Hearthlock</div>
${o.body}
</main>
${ran === undefined ? '' : `<script>${ran}</script>\n`}</body>
</html>
`,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy.join('; '),
      'cache-control': 'no-store',
      // Not 'no-referrer': with it browsers send "Origin: null" with the form, and the origin check needs the real one.
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    },
  }
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

/** A place for what went wrong: said by the server with the page, or by the script later. */
export function problemLine(problem: string | undefined): string {
  return `<p class="bad" id="problem" role="alert"${problem ? '' : ' hidden'}>${escapeHtml(problem ?? '')}</p>`
}
