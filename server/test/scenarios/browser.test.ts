import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { CUSTOMER, enrolOperator, signUp } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

const CHROMIUM = '/usr/bin/chromium'
const TIMEOUT_MS = 15_000

/** What a native app does (RFC 8252): it sends the browser to the sign-in page and waits on a loopback address. */
describe.skipIf(!existsSync(CHROMIUM))(`signing in with a browser (needs ${CHROMIUM})`, () => {
  let at: Installation
  let browser: Browser
  let app: Server
  let redirectUri: string
  let calledBack: URL[] = []

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await enrolOperator(at)
    await signUp(at, CUSTOMER)
    app = createServer((req, res) => {
      const url = new URL(req.url ?? '', redirectUri)
      if (url.pathname === '/callback') calledBack.push(url)
      res.end('Back in the app.')
    }).listen(0, '127.0.0.1')
    await once(app, 'listening')
    redirectUri = `http://127.0.0.1:${(app.address() as AddressInfo).port}/callback`
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      timeout: TIMEOUT_MS,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
      ],
    })
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    app?.closeAllConnections()
    app?.close()
    await at?.dispose()
  })

  function authorization(changes: Record<string, string> = {}): string {
    const challenge = createHash('sha256').update(randomBytes(32).toString('base64url')).digest('base64url')
    const query = new URLSearchParams({
      client_id: 'hearthlock-cli',
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid offline_access',
      code_challenge: challenge,
      code_challenge_method: 'S256',
      state: 'the-app’s-own',
      ...changes,
    })
    return `${at.url}/oauth/auth?${query}`
  }

  async function open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    calledBack = []
    const page = await (await browser.newContext(options)).newPage()
    page.setDefaultTimeout(TIMEOUT_MS)
    await page.goto(url)
    return page
  }

  async function submit(page: Page, email: string, password: string): Promise<void> {
    await page.getByLabel('E-mail address').fill(email)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  }

  async function cameBack(page: Page): Promise<void> {
    // Chromium holds the redirects of a form to the page's form-action: a policy without the app's origin ends here.
    await page.waitForURL((url) => url.pathname === '/callback')
    expect(calledBack).toHaveLength(1)
    expect(calledBack[0]?.searchParams.get('state')).toBe('the-app’s-own')
    expect(calledBack[0]?.searchParams.get('iss')).toBe(at.url)
    expect(calledBack[0]?.searchParams.get('code')).toBeTruthy()
  }

  it.each([
    ['on a desktop', { viewport: { width: 1280, height: 800 } }],
    ['on a phone', { viewport: { width: 390, height: 844 } }],
    ['without scripts', { javaScriptEnabled: false }],
  ])(
    '%s, a wrong password is said to be wrong and the right one leads back to the app',
    async (_, options: BrowserContextOptions) => {
      const page = await open(authorization(), options)
      await submit(page, CUSTOMER.email, 'not the password')
      await page.getByRole('alert').waitFor()
      expect(await page.getByRole('alert').textContent()).toMatch(/not right/)
      expect(await page.getByLabel('E-mail address').inputValue()).toBe(CUSTOMER.email)
      expect(await page.getByLabel('Password').inputValue()).toBe('')
      expect(calledBack).toEqual([])

      await submit(page, CUSTOMER.email, CUSTOMER.password)
      // The offer of a passkey is for those whose browser could make one.
      if (options.javaScriptEnabled !== false) await page.getByRole('link', { name: 'Not now' }).click()
      await cameBack(page)
      await page.context().close()
    },
  )

  it('its own policy lets the page be styled, and it fits a phone without scrolling sideways', async () => {
    const page = await open(authorization(), { viewport: { width: 390, height: 844 } })
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    await page.reload()
    const button = page.getByRole('button', { name: 'Sign in', exact: true })
    expect((await button.boundingBox())?.width).toBeGreaterThan(250)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390)
    expect(complaints).toEqual([])
    await page.context().close()
  })

  it('a request that would lead elsewhere ends on our page, and nobody is called back', async () => {
    const page = await open(authorization({ redirect_uri: 'http://127.0.0.2/callback' }))
    expect(new URL(page.url()).origin).toBe(at.url)
    expect(await page.getByRole('heading').textContent()).toBe('This sign-in was refused')
    expect(await page.getByRole('button').count()).toBe(0)
    expect(calledBack).toEqual([])
    await page.context().close()
  })

  it('a sign-in belongs to the browser that began it', async () => {
    const page = await open(authorization())
    const elsewhere = await open(page.url())
    expect(await elsewhere.getByRole('heading').textContent()).toBe('This sign-in has expired')
    expect(await elsewhere.getByLabel('Password').count()).toBe(0)
    await page.context().close()
    await elsewhere.context().close()
  })

  describe('with passkeys', () => {
    /** Chromium's own authenticator, as if of this phone; `touches` tells whether its owner answers at once. */
    async function authenticator(page: Page, touches: boolean) {
      const devtools = await page.context().newCDPSession(page)
      await devtools.send('WebAuthn.enable', { enableUI: false })
      const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
        options: {
          protocol: 'ctap2',
          transport: 'internal',
          hasResidentKey: true,
          hasUserVerification: true,
          isUserVerified: true,
          automaticPresenceSimulation: touches,
        },
      })
      return {
        verifies: (isUserVerified: boolean) =>
          devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
        held: async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
      }
    }

    /** One browser, in which a passkey was added after a sign-in with the password. */
    async function withPasskey(options: BrowserContextOptions = {}) {
      const page = await open('about:blank', options)
      const device = await authenticator(page, true)
      await page.goto(authorization())
      await submit(page, CUSTOMER.email, CUSTOMER.password)
      return { page, device }
    }

    it('one is offered after the password, made, and used instead of it from then on', async () => {
      const { page, device } = await withPasskey()
      await page.getByRole('button', { name: 'Add a passkey' }).click()
      await cameBack(page)
      const [credential] = await device.held()
      expect(credential).toMatchObject({ rpId: 'localhost', isResidentCredential: true })

      // Offered while the person types (conditional mediation): this owner answers without a click of ours.
      calledBack = []
      await page.goto(authorization())
      await cameBack(page)

      // A browser that cannot offer it so has the button. (This owner would answer before anybody could click.)
      await page.addInitScript('PublicKeyCredential.isConditionalMediationAvailable = undefined')
      calledBack = []
      await page.goto(authorization())
      await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
      await cameBack(page)
      await page.context().close()
    })

    it('the button takes the place of what was offered while typing, with a challenge of its own', async () => {
      const page = await open('about:blank')
      await authenticator(page, false)
      const asked = () => page.waitForRequest((request) => request.url().endsWith('/passkey'))
      const [first] = await Promise.all([asked(), page.goto(authorization())])
      await first.response()
      const [second] = await Promise.all([
        asked(),
        page.getByRole('button', { name: 'Sign in with a passkey' }).click(),
      ])
      expect((await second.response())?.status()).toBe(200)
      expect(await page.getByRole('alert').count()).toBe(0)
      await page.context().close()
    })

    it('a link adds one to the account, and works once', async () => {
      const person = { email: 'link@example.org', name: 'Link' }
      const printed = await signUp(at, person)
      const link = /http:\S+/.exec(printed)?.[0] as string
      const page = await open('about:blank')
      await authenticator(page, true)
      await page.goto(link)
      await page.getByLabel('A name for it').fill('Office key')
      await page.getByRole('button', { name: 'Add a passkey' }).click()
      await page.getByText('The passkey is there').waitFor()
      expect(new URL(page.url()).hash).toBe('')
      await page.goto(authorization())
      await cameBack(page)

      await page.goto(link)
      await page.getByRole('button', { name: 'Add a passkey' }).click()
      await page.getByRole('alert').waitFor()
      expect(await page.getByRole('alert').textContent()).toMatch(/used already/)
      await page.context().close()
    })

    it('the command signs in by the browser, which hands back to it', async () => {
      const page = await open('about:blank')
      await authenticator(page, true)
      const person = { email: 'terminal@example.org', name: 'Terminal' }
      const signedUp = await signUp(at, person)
      await page.goto(/http:\S+/.exec(signedUp)?.[0] as string)
      await page.getByRole('button', { name: 'Add a passkey' }).click()
      await page.getByText('The passkey is there').waitFor()
      let printed = ''
      const signingIn = at.cli(['sign-in'], { onOutput: (text) => (printed += text) })
      await vi.waitFor(() => expect(printed).toMatch(/http:\S+\s/), { timeout: TIMEOUT_MS })
      await page.goto(/http:\S+/.exec(printed)?.[0] as string)
      await page.getByText('go back to the terminal').waitFor()
      expect((await signingIn).stdout).toContain('Signed in')
      expect((await at.cli(['whoami'])).stdout).toContain(person.email)
      expect((await at.cli(['passkeys'])).stdout).toContain('Passkey')
      await page.context().close()
    })

    it('an authenticator that does not know its user is sent away, and the password still works', async () => {
      const page = await open('about:blank')
      const device = await authenticator(page, true)
      await device.verifies(false)
      await page.goto(authorization())
      await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
      await page.getByRole('alert').waitFor()
      expect(await page.getByRole('alert').textContent()).toMatch(/No passkey was used/)
      await page.context().close()
    })
  })
})
