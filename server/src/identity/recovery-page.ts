import { escapeHtml, type Page, page, problemLine } from './page.ts'

/** The first step: to which address the code should go. */
export function askForCodePage(o: {
  action: string
  email?: string | undefined
  problem?: string | undefined
}): Page {
  return page({
    title: 'Forgot password',
    formAction: "'self'",
    body: `<h1>Forgot password</h1>
<p>We mail a code to the address of your account. With it you choose a new password.</p>
${problemLine(o.problem)}
<form method="post" action="${escapeHtml(o.action)}">
<label for="email">E-mail address</label>
<input id="email" name="email" type="email" inputmode="email" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="254" required value="${escapeHtml(o.email ?? '')}" autofocus>
<button type="submit">Mail me a code</button>
</form>`,
  })
}

/** The second step. Says the same whether a letter went out. */
export function newPasswordPage(o: { action: string; email: string; problem?: string | undefined }): Page {
  return page({
    title: 'Choose a new password',
    formAction: "'self'",
    body: `<h1>Choose a new password</h1>
<p>If ${escapeHtml(o.email)} has an account, a code is on its way there. It is good for 15 minutes.</p>
${problemLine(o.problem)}
<form method="post" action="${escapeHtml(o.action)}">
<input name="email" type="hidden" autocomplete="username" value="${escapeHtml(o.email)}">
<label for="code">Code from the letter</label>
<input id="code" name="code" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" maxlength="32" required autofocus>
<label for="newPassword">New password</label>
<input id="newPassword" name="newPassword" type="password" autocomplete="new-password" minlength="10" maxlength="256" required>
<label for="otp">Code of your authenticator app, if the account has one</label>
<input id="otp" name="otp" inputmode="numeric" autocomplete="off" maxlength="32">
<button type="submit">Set the password</button>
</form>`,
  })
}

export function recoveredPage(): Page {
  return page({
    title: 'The new password holds',
    body: `<h1>The new password holds</h1>
<p>Go back to the app and sign in with it.</p>
<p>For 24 hours this account cannot move locks, see cameras or change who lives in its homes. If you are still signed in somewhere, confirm there that it was you, and the waiting time ends.</p>`,
  })
}
