import { escapeHtml, type Page, page, problemLine } from './page.ts'

export interface SignInForm {
  action: string
  /** The client, in words: "the hearthlock command". */
  clientTitle: string
  /** The origin to which a right password leads: Chrome holds a form's redirects to form-action too. */
  redirectOrigin: string
  /** Operators have no password. */
  passkeyOnly: boolean
  /** Where "Forgot password" leads. */
  recoveryUrl: string
  email?: string | undefined
  problem?: string | undefined
}

/** A passkey first, offered by the browser while one types, too; the password below it, for which no script is needed. */
export function signInPage(form: SignInForm): Page {
  const action = escapeHtml(form.action)
  if (form.passkeyOnly) {
    return page({
      title: 'Sign in',
      scripted: true,
      body: `<h1>Sign in</h1>
<p>You are signing in to ${escapeHtml(form.clientTitle)}.</p>
${problemLine(form.problem)}
<noscript><p class="bad">Signing in with a passkey needs JavaScript.</p></noscript>
<div data-ceremony="sign-in" data-url="${action}" hidden>
<button type="button">Sign in with a passkey</button>
</div>`,
    })
  }
  const focus = form.email ? { email: '', password: ' autofocus' } : { email: ' autofocus', password: '' }
  return page({
    title: 'Sign in',
    formAction: `'self' ${form.redirectOrigin}`,
    scripted: true,
    body: `<h1>Sign in</h1>
<p>You are signing in to ${escapeHtml(form.clientTitle)}.</p>
${problemLine(form.problem)}
<div data-ceremony="sign-in" data-url="${action}" hidden>
<button type="button">Sign in with a passkey</button>
<div class="or">or with your password</div>
</div>
<form method="post" action="${action}">
<label for="email">E-mail address</label>
<input id="email" name="email" type="email" inputmode="email" autocomplete="username webauthn" autocapitalize="none" spellcheck="false" maxlength="254" required value="${escapeHtml(form.email ?? '')}"${focus.email}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024" required${focus.password}>
<button type="submit" class="second">Sign in</button>
</form>
<a class="aside" href="${escapeHtml(form.recoveryUrl)}">Forgot password</a>`,
  })
}
