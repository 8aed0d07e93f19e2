import { escapeHtml, type Page, page, problemLine } from './page.ts'

/** Where a link to make a passkey leads; the link's secret half stays in the browser until the script sends it. */
export function passkeyPage(url: string): Page {
  return page({
    title: 'Add a passkey',
    scripted: true,
    body: `<h1>Add a passkey</h1>
${problemLine(undefined)}
<noscript><p class="bad">Making a passkey needs JavaScript.</p></noscript>
<div data-ceremony="create" data-url="${escapeHtml(url)}" hidden>
<p>With it you sign in by fingerprint, face or PIN. It cannot be phished, and nobody can steal it from us.</p>
<label for="name">A name for it, for your list of passkeys</label>
<input id="name" maxlength="60" placeholder="Ada’s phone" autocomplete="off">
<button type="button">Add a passkey</button>
</div>
<p id="done" hidden>The passkey is there. You can close this window.</p>`,
  })
}

/** After a right password. Who has no script, or a browser that knows no passkeys, goes on at once. */
export function passkeyOfferPage(o: { url: string; ticket: string; continueTo: string }): Page {
  const next = escapeHtml(o.continueTo)
  return page({
    title: 'Add a passkey?',
    scripted: true,
    body: `<h1>Add a passkey?</h1>
${problemLine(undefined)}
<noscript><meta http-equiv="refresh" content="0; url=${next}"></noscript>
<div data-ceremony="offer" data-url="${escapeHtml(o.url)}" data-ticket="${escapeHtml(o.ticket)}" data-next="${next}" hidden>
<p>Next time you sign in by fingerprint, face or PIN, without the password. A passkey cannot be phished, and nobody can steal it from us.</p>
<button type="button">Add a passkey</button>
</div>
<a class="button second" href="${next}">Not now</a>`,
  })
}
