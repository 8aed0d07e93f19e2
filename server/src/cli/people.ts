import type { Command } from 'commander'
import { passkeyFile } from '../client/index.ts'
import { Personal } from '../core/index.ts'
import type { CliContext } from './context.ts'
import { localTime } from './local-time.ts'
import { openBrowser } from './open-browser.ts'
import { askSecret, print } from './terminal.ts'

/** As long as the server waits for it. */
const SIGN_IN_MS = 15 * 60_000
const clients = { customer: 'hearthlock-cli', operator: 'hearthlock-operator-cli' } as const

export function addPeopleCommands(program: Command, context: CliContext): void {
  const { terminal } = context

  program
    .command('sign-in')
    .description(
      'sign in: in the browser, with the passkey file of this machine, or with a password (asked for, or read from a pipe)',
    )
    .summary('sign in, by browser or password')
    .option('--email <address>', 'your e-mail address: sign in with the password')
    .option('--browser', 'in the browser, even where this machine has a passkey file')
    .option('--operator', "sign in as one of the maker's operators")
    .action(async ({ email, operator, browser }: { email?: string; operator?: true; browser?: true }) => {
      const kind = operator ? 'operator' : 'customer'
      const proof = await proofOf(context, kind, { email, browser })
      await context.as(kind).signIn({ clientId: clients[kind], ...proof })
      print(terminal, 'Signed in. The session is bound to a key that stays in your session file.')
    })

  program
    .command('sign-out')
    .description('end the session, here and on the server')
    .option('--operator', "the operator's session")
    .action(async ({ operator }: { operator?: true }) => {
      await context.as(operator ? 'operator' : 'customer').signOut()
      print(terminal, 'Signed out.')
    })

  program
    .command('whoami')
    .description('show who is signed in')
    .option('--operator', "the operator's session")
    .action(async ({ operator }: { operator?: true }) => {
      const me = await context.as(operator ? 'operator' : 'customer').request<Me>('GET', '/v1/me')
      const roles = me.roles.length > 0 ? ` (${me.roles.join(', ')})` : ''
      print(terminal, `${me.name} <${me.email}>, ${me.kind}${roles}`)
      for (const { kind, at } of me.notices) {
        print(terminal, `  ${localTime(at)}  ${noticeTexts[kind] ?? kind}`)
      }
    })
}

/** With an address the password; else the passkey file of this machine, where there is one; else the browser. */
async function proofOf(
  { terminal, config, env, signal }: CliContext,
  kind: keyof typeof clients,
  { email, browser }: { email?: string | undefined; browser?: true | undefined },
) {
  if (email !== undefined) {
    return {
      email: new Personal(email),
      password: await askSecret(terminal, 'Password: '),
      code: () => askSecret(terminal, 'Code of the authenticator app: '),
    }
  }
  const file = passkeyFile(config.passkeyFile[kind])
  if (!browser && (await file.holds(new URL(config.url).hostname))) {
    return { passkey: await file.open(await askSecret(terminal, 'Passphrase of the passkey: ')) }
  }
  return {
    browser(url: URL) {
      print(terminal, 'Sign in with your browser:')
      print(terminal, `  ${url}`)
      openBrowser(url.href, env)
    },
    signal: AbortSignal.any([signal, AbortSignal.timeout(SIGN_IN_MS)]),
  }
}

interface Me {
  name: string
  email: string
  kind: string
  roles: string[]
  notices: { kind: string; at: string }[]
}

const noticeTexts: Record<string, string> = {
  recovered: 'The account was recovered by mail. Was it you? npx hearthlock recovery confirm (or deny)',
  recovery_denied: 'A session of yours undid that recovery.',
  session_ended_by_reuse: 'A session was ended because its tokens were used in two places.',
  address_changed: 'The e-mail address was changed.',
}
