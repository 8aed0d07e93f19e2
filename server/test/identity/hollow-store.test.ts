import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccountId, Personal, type Secret } from '../../src/core/index.ts'
import { createArtifacts } from '../../src/identity/artifacts.ts'
import type { PasskeyView } from '../../src/identity/index.ts'
import { createResetEpochs } from '../../src/identity/reset-epochs.ts'
import { challengeOf, makePasskey } from './support/authenticator.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { newProofKey, type Tokens, UserAgent } from './support/user-agent.ts'

let s: Setup
const email = ada.email.reveal()
const password = ada.password.reveal()

beforeAll(async () => {
  s = await setUp()
})
afterAll(() => s.close())

interface Cell {
  column: string
  text: string
  bytes: Buffer
}

/** Every value of the room's schema: as PostgreSQL prints it, and as bytes. */
async function everyCell(): Promise<Cell[]> {
  const cells: Cell[] = []
  const tables = await s.database.pool.query<{ table: string }>(
    `select table_name as "table" from information_schema.tables where table_schema = 'identity'`,
  )
  for (const { table } of tables.rows) {
    const { rows } = await s.database.pool.query<Record<string, unknown>>(`select * from identity.${table}`)
    for (const row of rows) {
      for (const [column, value] of Object.entries(row)) {
        const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))
        cells.push({ column: `${table}.${column}`, text: bytes.toString('latin1'), bytes })
      }
    }
  }
  return cells
}

function formsOf(value: string): string[] {
  const bytes = Buffer.from(value)
  const decoded = Buffer.from(value, 'base64url')
  return [
    value,
    JSON.stringify(value),
    ...[bytes, decoded].flatMap((form) => [
      form.toString('latin1'),
      form.toString('hex'),
      form.toString('base64').replace(/=+$/, ''),
      form.toString('base64url'),
    ]),
  ].filter((form) => form.length >= 6)
}

describe('what identity stores', () => {
  it('holds no identifier, token, code, cookie, key thumbprint or address in any form', async () => {
    const code = (await s.identity.operatorEnrolment()) as Secret
    await s.join(ada)
    const agent = new UserAgent(s.url)
    agent.key = await newProofKey()

    // Stopped half-way as well, so that pending interactions and unused codes are there.
    const pending = new UserAgent(s.url)
    const interaction = await pending.begin({ login_hint: 'hint@example.org' })
    const used = await agent.code(email, password)
    const unused = await agent.code(email, password)
    const first = (await (await agent.exchange(used)).json()) as Tokens
    const second = (await (await agent.refresh(first.refresh_token)).json()) as Tokens
    const { accountId, sessionId } = await s.identity.authenticate(await agent.request(second.access_token))
    const seen = await agent.proof()
    await agent.refresh(second.refresh_token, seen)

    const account = accountId as AccountId
    const used1 = await s.identity.passkeys.add({ accountId: account, sessionId })
    const { passkey } = await makePasskey(agent, used1.url.reveal())
    const [{ passkeyId }] = (await s.identity.passkeys.list(account)) as [PasskeyView]
    await s.identity.passkeys.rename(account, passkeyId, new Personal("Ada's own telephone"))
    const challenge = await challengeOf(pending, interaction)
    const link = new URL(
      (await s.identity.passkeys.add({ accountId: account, sessionId })).url.reveal(),
    ).hash.slice(1)
    await s.identity.requestRecovery({ email: ada.email, remoteAddress: undefined })
    const { code: recovery } = await s.lastLetter()
    const waiting = {
      ...ada,
      email: new Personal('waiting@example.org'),
      name: new Personal('Waiting Person'),
    }
    const { signUpId } = await s.identity.signUp(waiting)
    const { code: signUpCode } = await s.lastLetter()
    const invitation = await s.identity.inviteOperator({ invitedBy: account, roles: ['support'] })

    const cookies = [...agent.cookies.values(), ...pending.cookies.values()]
    const { jti } = decodeJwt(seen)
    const { jwk } = agent.key
    const secrets = {
      email,
      hint: 'hint@example.org',
      password,
      interaction: interaction.split('/').at(-1) as string,
      used,
      unused,
      access1: first.access_token,
      access2: second.access_token,
      refresh1: first.refresh_token,
      refresh2: second.refresh_token,
      idToken: second.id_token,
      sessionId,
      verifier: agent.verifier,
      jti: jti as string,
      keyX: jwk.x as string,
      redirect: agent.redirectUri,
      state: 'some-state',
      code: code.reveal(),
      typedCode: code.reveal().replaceAll('-', ''),
      invitation: invitation.reveal().replaceAll('-', ''),
      recovery: recovery.reveal(),
      typedRecovery: recovery.reveal().replaceAll('-', ''),
      waitingEmail: 'waiting@example.org',
      waitingName: 'Waiting Person',
      signUpId,
      signUpCode: signUpCode.reveal(),
      typedSignUpCode: signUpCode.reveal().replaceAll('-', ''),
      credentialId: passkey.credentialId,
      passkeyX: passkey.privateJwk.x as string,
      passkeyName: "Ada's own telephone",
      challenge,
      link,
      ...Object.fromEntries(cookies.map((value, i) => [`cookie${i}`, value])),
    }
    expect(cookies.length).toBeGreaterThan(3)
    const cells = await everyCell()
    expect(cells.length).toBeGreaterThan(50)
    const found = Object.entries(secrets).flatMap(([what, value]) =>
      cells
        .filter((cell) => formsOf(value).some((form) => cell.text.includes(form)))
        .map((cell) => `${what} in ${cell.column}`),
    )
    expect(found).toEqual([])
    // An account's id is the one name that stays readable: in the account's row and in those that hang on it.
    const named = new Set(cells.filter((cell) => cell.text.includes(accountId)).map((cell) => cell.column))
    expect([...named].sort()).toEqual([
      'account.account_id',
      'mailed_code.account_id',
      'passkey.account_id',
      'session.account_id',
    ])
  })

  it('holds no string that works as a token, code or cookie', async () => {
    const agent = new UserAgent(s.url)
    await agent.signIn(email, password)
    const cells = (await everyCell()).filter((cell) => /digest|sealed/.test(cell.column))
    const strings = new Set(
      cells.flatMap(({ bytes }) => [
        bytes.toString('hex'),
        bytes.toString('base64url'),
        `\\x${bytes.toString('hex')}`,
      ]),
    )
    const accepted: string[] = []
    for (const text of strings) {
      const asAccess = await agent
        .request(text)
        .then(s.identity.authenticate)
        .catch(() => undefined)
      const asRefresh = (await agent.refresh(text)).status
      const asCode = (await agent.exchange(text)).status
      agent.cookies.set('hearthlock_interaction', text)
      const asCookie = (await agent.answer(`/oauth/interaction/${text}`, email, password)).status
      if (asAccess || asRefresh === 200 || asCode === 200 || asCookie === 200) accepted.push(text)
    }
    expect(strings.size).toBeGreaterThan(30)
    expect(accepted).toEqual([])
  })

  it('does not open a payload that was moved to another row, even of the same person and key', async () => {
    const agent = new UserAgent(s.url)
    const tokens = [await agent.signIn(email, password), await agent.signIn(email, password)]
    await s.database.pool.query(`
      update identity.artifact a set sealed = b.sealed from identity.artifact b
      where a.model = 'AccessToken' and b.model = 'AccessToken' and a.ctid <> b.ctid`)
    for (const { access_token } of tokens) {
      const moved = s.identity.authenticate(await agent.request(access_token))
      await expect(moved).rejects.toMatchObject({ code: 'integrity_failed' })
    }
  })

  it('tells by no length which program somebody signs in with, how, or what was typed', async () => {
    const adapter = artifactsOf().adapter('Interaction')
    const { pool } = s.database
    await pool.query("delete from identity.artifact where model = 'Interaction'")
    await adapter.upsert('short', { params: { login_hint: 'a@b.de', client_id: 'hearthlock-cli' } }, 60)
    await adapter.upsert(
      'long',
      { params: { login_hint: 'a'.repeat(200), client_id: 'hearthlock-operator-cli' } },
      60,
    )
    const { rows } = await pool.query(
      "select octet_length(sealed) from identity.artifact where model = 'Interaction'",
    )
    expect(rows).toHaveLength(2)
    expect(rows[0]).toEqual(rows[1])
  })

  it('keeps one signing key over restarts, sealed', async () => {
    const published = async () => (await fetch(`${s.url}/oauth/jwks`)).text()
    const before = await published()
    await s.identity.start()
    expect(await published()).toBe(before)
    const { x } = (JSON.parse(before) as { keys: [{ x: string }] }).keys[0]
    const { rows } = await s.database.pool.query<{ sealed: Buffer }>(
      'select sealed from identity.signing_key',
    )
    expect(rows[0]?.sealed.toString('latin1')).not.toContain(x)
  })
})

function artifactsOf() {
  const { database, keys, clock } = s
  const epochs = createResetEpochs({ database })
  return createArtifacts({
    database,
    keys,
    clock,
    epochs,
    onGrantEnd: () => {},
    onReuse: async () => {},
    presentedInVain: () => {},
  })
}

describe('time', () => {
  it('ends an access token after 300 s, and the sign-in itself after its own time', async () => {
    const agent = new UserAgent(s.url)
    const tokens = await agent.signIn(email, password)
    const { clock } = s
    const artifacts = artifactsOf()
    clock.advance(299)
    expect(await artifacts.adapter('AccessToken').find(tokens.access_token)).toBeTruthy()
    clock.advance(1)
    expect(await artifacts.adapter('AccessToken').find(tokens.access_token)).toBeUndefined()
    clock.advance(31 * 24 * 60 * 60)
    expect((await agent.refresh(tokens.refresh_token)).status).toBe(400)
  })

  it('stands in the clear to the hour only, and counts to the second', async () => {
    const agent = new UserAgent(s.url)
    const { refresh_token } = await agent.signIn(email, password)
    await agent.refresh(refresh_token)
    const { rows } = await s.database.pool.query<{ expires_at: Date; consumed_at: Date | null }>(
      'select expires_at, consumed_at from identity.artifact',
    )
    const times = rows.flatMap((row) => [row.expires_at, ...(row.consumed_at ? [row.consumed_at] : [])])
    expect(rows.some((row) => row.consumed_at)).toBe(true)
    expect(times.map((time) => time.getTime() % 3_600_000)).toEqual(times.map(() => 0))
    const { adapter } = artifactsOf()
    await adapter('Interaction').upsert('soon over', { exp: 1 }, 10)
    expect(await adapter('Interaction').find('soon over')).toEqual({ exp: 1 })
    s.clock.advance(10)
    expect(await adapter('Interaction').find('soon over')).toBeUndefined()
  })

  it('sweeps what has expired, in batches, and nothing else', async () => {
    const artifacts = artifactsOf()
    const grants = artifacts.adapter('Grant')
    for (let i = 0; i < 520; i++) await artifacts.adapter('ReplayDetection').upsert(`proof ${i}`, {}, 10)
    await grants.upsert('lasting', { accountId: 'a' }, 10_000)
    s.clock.advance(3_611)
    expect(await artifacts.sweep()).toBeGreaterThanOrEqual(520)
    expect(await grants.find('lasting')).toMatchObject({ accountId: 'a' })
    expect(await artifacts.sweep()).toBe(0)
  })
})

describe('the store under contention', () => {
  const adapterOf = (model: string) => artifactsOf().adapter(model)

  it('lets one of many consume a token', async () => {
    const adapter = adapterOf('RefreshToken')
    await adapter.upsert('raced', { grantId: 'g' }, 100)
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => adapter.consume('raced')))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('lets one of many remember a proof, and the next one after it has expired', async () => {
    const adapter = adapterOf('ReplayDetection')
    const attempts = Array.from({ length: 8 }, () => adapter.upsert('raced proof', {}, 10))
    const outcomes = await Promise.allSettled(attempts)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    // The row's own end stands on the full hour.
    s.clock.advance(3_611)
    await expect(adapter.upsert('raced proof', {}, 10)).resolves.toBeUndefined()
  })

  it('finds by uid and user code, and asks the database for no client', async () => {
    const adapter = adapterOf('Session')
    await adapter.upsert('one', { uid: 'the uid', userCode: 'the code' }, 100)
    expect(await adapter.findByUid('the uid')).toMatchObject({ uid: 'the uid' })
    expect(await adapter.findByUserCode('the code')).toMatchObject({ uid: 'the uid' })
    expect(await adapter.findByUid('one')).toBeUndefined()
    await adapterOf('Client').upsert('stranger', {}, 100)
    expect(await adapterOf('Client').find('stranger')).toBeUndefined()
  })
})
