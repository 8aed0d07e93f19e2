import { escapeHtml, type Page, page, problemLine } from './page.ts'

/** After a right password, where the account has a second factor. */
export function secondFactorPage(o: {
  action: string
  redirectOrigin: string
  problem?: string | undefined
}): Page {
  return page({
    title: 'Enter the code',
    formAction: `'self' ${o.redirectOrigin}`,
    body: `<h1>Enter the code</h1>
<p>Your authenticator app shows six digits. Without it, use one of your recovery codes.</p>
${problemLine(o.problem)}
<form method="post" action="${escapeHtml(o.action)}">
<label for="code">Code</label>
<input id="code" name="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" maxlength="32" required autofocus>
<button type="submit">Go on</button>
</form>`,
  })
}
