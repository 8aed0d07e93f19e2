import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type AccountId, AppError, migrate, newId, type TenureId, type Tx } from '../../src/core/index.ts'
import { createAffected } from '../../src/guard/affected.ts'
import { guardMigrations } from '../../src/guard/index.ts'
import type { NoticeParts } from '../../src/guard/notice-face.ts'
import { createNotices } from '../../src/guard/notices.ts'
import { noticeParts } from '../../src/main/exposure-parts.ts'
import { createMailWorld, type MailWorld, type Postbox, startPostbox } from '../mail/support.ts'

let world: MailWorld
let postbox: Postbox
const officer = newId<AccountId>()
const acts: string[] = []
const recordAct = async (_tx: Tx, { act }: { act: string }) => {
  acts.push(act)
}

beforeAll(async () => {
  world = await createMailWorld()
  await migrate(world.database, [guardMigrations], () => {})
})
afterAll(() => world.close())
beforeEach(async () => {
  acts.length = 0
  postbox = await startPostbox()
  return () => postbox.close()
})

/** A list of these people, each with a device of their own. */
async function listOf(
  people: readonly AccountId[],
  fields: (at: number) => string[] = () => ['device.model'],
) {
  const tenures = people.map(() => newId<TenureId>())
  const affected = createAffected({
    ...world,
    recordAct,
    touched: async () => tenures.map((tenureId, at) => ({ tenureId, fields: fields(at) })),
    present: async (spans) =>
      spans.map(({ tenureId }) => {
        const accountId = people[tenures.indexOf(tenureId)] as AccountId
        return { tenureId, deviceId: tenureId, householdId: accountId, accountIds: [accountId] }
      }),
  })
  const window = { store: 'quality', fromMs: Date.UTC(2026, 11, 4), toMs: Date.UTC(2026, 11, 26) }
  return { affected, list: await affected.make(window, officer) }
}

async function nodeWith(
  affected: Parameters<typeof createNotices>[0]['affected'],
  over: Partial<NoticeParts['letters']> = {},
) {
  const mail = await world.node({ smtp: { url: postbox.url(), from: 'maker@example.org' }, pollMs: 20 })
  const { person, letters } = noticeParts({ ...world, mail })
  const notices = createNotices({
    ...world,
    affected,
    recordAct,
    person,
    letters: { ...letters, ...over },
  })
  return { mail, notices, letters }
}

const people = (count: number, of: string) =>
  Promise.all(Array.from({ length: count }, (_, at) => world.person(`${of}-${at}@example.org`)))
const received = () => postbox.letters.map(({ to }) => to[0]).sort()

describe('letters to those whom an exposure touches', () => {
  test('each is written to once, in the words of the template, with their own fields', async () => {
    const accounts = await people(3, 'once')
    const { affected, list } = await listOf(accounts, (at) => [
      'device.model',
      ...(at === 1 ? ['OnOff.OnOff'] : []),
    ])
    const { mail, notices } = await nodeWith(affected)
    const template = 'Dear {{name}},\n{{store}}, {{from}} to {{to}}:\n{{fields}}'
    const draft = await notices.draft({ affectedId: list.affectedId, template, locale: 'de' }, officer)
    expect(draft).toMatchObject({ state: 'draft', people: 3, written: 0 })
    await notices.send(draft.noticeId, officer)
    while (await notices.work()) {}
    await vi.waitFor(() => expect(received()).toEqual([0, 1, 2].map((at) => `once-${at}@example.org`)))
    const source = postbox.letters.find(({ to }) => to[0] === 'once-1@example.org')?.source
    expect(source).toContain('4. Dezember 2026')
    expect(source).toMatch(/- OnOff\.OnOff\r?\n- device\.model/)
    expect(postbox.letters.find(({ to }) => to[0] === 'once-0@example.org')?.source).not.toContain('OnOff')
    await vi.waitFor(async () =>
      expect(await notices.get(draft.noticeId)).toMatchObject({ state: 'sent', written: 3, waiting: 0 }),
    )
    expect(acts).toEqual(['affected.listed', 'notices.drafted', 'notices.sent'])
    await mail.close()
  })

  test('a crash in the middle loses nobody and writes to nobody twice', async () => {
    const accounts = await people(7, 'crash')
    const { affected, list } = await listOf(accounts)
    let left = 3
    const { mail, notices, letters } = await nodeWith(affected, {
      enqueue: async (tx, to, lines) => {
        if (left-- === 0) throw new AppError('internal')
        await letters.enqueue(tx, to, lines)
      },
    })
    const { noticeId } = await notices.draft({ affectedId: list.affectedId }, officer)
    await notices.send(noticeId, officer)
    await expect(notices.work()).rejects.toThrow()
    expect(await notices.get(noticeId)).toMatchObject({ state: 'sending', written: 0 })
    const others = [await nodeWith(affected), await nodeWith(affected)]
    await Promise.all(others.map((other) => other.notices.work()))
    await vi.waitFor(() => expect(received()).toHaveLength(7))
    expect(new Set(received()).size).toBe(7)
    await mail.close()
    for (const other of others) await other.mail.close()
  })

  test('another notice about the same list writes only to those who were not written to', async () => {
    const { affected, list } = await listOf(await people(2, 'twice'))
    const { mail, notices } = await nodeWith(affected)
    const first = await notices.draft({ affectedId: list.affectedId }, officer)
    const second = await notices.draft({ affectedId: list.affectedId }, officer)
    await notices.send(first.noticeId, officer)
    await expect(notices.send(first.noticeId, officer)).rejects.toMatchObject({ code: 'conflict' })
    await expect(notices.send(second.noticeId, officer)).rejects.toThrow('Another notice is being sent')
    await notices.work()
    await notices.send(second.noticeId, officer)
    await notices.work()
    expect(await notices.get(second.noticeId)).toMatchObject({ state: 'sent', written: 0, elsewhere: 2 })
    await vi.waitFor(() => expect(received()).toHaveLength(2))
    await mail.close()
  })

  test('who was erased is counted and not written to', async () => {
    const accounts = await people(2, 'erased')
    const { affected, list } = await listOf([...accounts].sort())
    const [first] = [...accounts].sort() as [AccountId]
    await world.database.transaction(async (tx) => {
      await affected.forget(tx, first)
      await world.vault.erase(tx, first)
    })
    const ids = (await affected.people(list.affectedId, officer, { limit: 10 })).map((one) => one.accountId)
    expect(ids).toHaveLength(2)
    expect(ids).not.toContain(first)
    const { mail, notices } = await nodeWith(affected)
    const { noticeId } = await notices.draft({ affectedId: list.affectedId }, officer)
    const { lines } = await notices.preview(noticeId)
    expect(lines.map((line) => line.reveal()).join('\n')).toContain('- device.model')
    await notices.send(noticeId, officer)
    await notices.work()
    expect(await notices.get(noticeId)).toMatchObject({ state: 'sent', written: 1, gone: 1 })
    await mail.close()
  })

  test('a mail server that is behind is not handed more', async () => {
    const { affected, list } = await listOf(await people(1, 'behind'))
    const { mail, notices } = await nodeWith(affected, { waiting: async () => 1_000 })
    const { noticeId } = await notices.draft({ affectedId: list.affectedId }, officer)
    await notices.send(noticeId, officer)
    expect(await notices.work()).toBe(false)
    expect(await notices.get(noticeId)).toMatchObject({ state: 'sending', written: 0 })
    // The others of this file go on.
    const { notices: other, mail: another } = await nodeWith(affected)
    await other.work()
    await mail.close()
    await another.close()
  })

  test('without a mail server nothing is sent, and it says what to do', async () => {
    const { affected, list } = await listOf(await people(1, 'nowhere'))
    const { mail, notices } = await nodeWith(affected, { sends: () => false })
    const { noticeId } = await notices.draft({ affectedId: list.affectedId }, officer)
    await expect(notices.send(noticeId, officer)).rejects.toThrow('HEARTHLOCK_SMTP_URL')
    expect(await notices.get(noticeId)).toMatchObject({ state: 'draft' })
    await mail.close()
  })

  test('a language that is none is refused', async () => {
    const { affected, list } = await listOf(await people(1, 'locale'))
    const { mail, notices } = await nodeWith(affected)
    const wish = { affectedId: list.affectedId, locale: 'no-such-language-at-all-xx' }
    await expect(notices.draft(wish, officer)).rejects.toMatchObject({ code: 'invalid_request' })
    await mail.close()
  })

  test('neither whose data it was nor which store stands in the open', async () => {
    const { affected, list } = await listOf(await people(1, 'hollow'))
    const { mail, notices } = await nodeWith(affected)
    await notices.draft(
      { affectedId: list.affectedId, template: 'SECRETWORD {{from}}{{to}}{{fields}}' },
      officer,
    )
    const { rows } = await world.database.pool.query(
      "select string_agg(a::text, '') || (select string_agg(n::text, '') from guard.notice n) as all from guard.affected a",
    )
    for (const word of ['quality', 'device.model', 'SECRETWORD']) {
      expect(rows[0].all).not.toContain(word)
      expect(rows[0].all).not.toContain(Buffer.from(word).toString('hex'))
    }
    await mail.close()
  })
})
