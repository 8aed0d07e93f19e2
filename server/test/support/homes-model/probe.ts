import { randomUUID } from 'node:crypto'
import { expect, vi } from 'vitest'
import type { TenureId } from '../../../src/core/index.ts'
import { outcome, say, type Watch, watch } from '../two-homes.ts'
import { mayInHome, mayOn, mayReadCommand, mayReadPast, type ReferenceHomes } from './reference.ts'
import { ACCOUNTS, at, HOMES, heard, patience, type Real, type Watching } from './world.ts'

const everybodyInHomes = () =>
  Array.from({ length: ACCOUNTS * HOMES }, (_, index) => ({
    who: index % ACCOUNTS,
    h: Math.floor(index / ACCOUNTS),
  }))

/** Asks for everything, as everybody, and compares. */
export async function probe(m: ReferenceHomes, real: Real): Promise<void> {
  const { rooms, clients, accounts, homes, things, tenureIds } = real
  const asked: { what: string; work: Promise<unknown>; allowed: boolean }[] = []
  clients.forEach((client, who) => {
    things.forEach(({ deviceId }, d) => {
      const path = `/v1/devices/${deviceId}`
      const see = (what: string, work: Promise<unknown>) =>
        asked.push({ what: `${who} ${what} ${d}`, work, allowed: mayOn(m, who, d, 'view') })
      see('sees', client.request('GET', path))
      see('reads', client.request('GET', `${path}/timeline?limit=1`))
      const accountId = at(accounts, who)
      asked.push({
        what: `${who} moves ${d}`,
        work: rooms.registry.device(accountId, deviceId, 'control'),
        allowed: mayOn(m, who, d, 'control'),
      })
    })
    homes.forEach((householdId, home) => {
      const work = client.request<{ devices: { deviceId: string }[] }>(
        'GET',
        `/v1/households/${householdId}/devices`,
      )
      const devices = work.then(({ devices: found }) => {
        const expected = things.filter((_, d) => at(m.devices, d).home === home && mayOn(m, who, d, 'view'))
        expect([`${who} in ${home}`, ...found.map(({ deviceId }) => deviceId).sort()]).toEqual([
          `${who} in ${home}`,
          ...expected.map(({ deviceId }) => deviceId).sort(),
        ])
      })
      asked.push({
        what: `${who} looks into ${home}`,
        work: devices,
        allowed: mayInHome(m, who, home, 'view'),
      })
    })
    for (const command of real.asked.slice(-2)) {
      const { commandId, d } = command
      const allowed = mayReadCommand(m, who, command)
      const work = client.request('GET', `/v1/commands/${commandId}`)
      asked.push({ what: `${who} asks what became of ${commandId} on ${d}`, work, allowed })
    }
    for (const past of m.past.slice(-2)) {
      const tenureId = tenureIds.get(past.tenure) as TenureId
      for (const act of ['view', 'control'] as const) {
        const work = rooms.registry.authorize({ accountId: at(accounts, who), tenureId, act })
        asked.push({ what: `${who} would ${act} in past ${past.tenure}`, work, allowed: false })
      }
      const path = `/v1/tenures/${tenureIds.get(past.tenure)}/timeline?limit=1`
      asked.push({
        what: `${who} reads past ${past.tenure}`,
        work: client.request('GET', path),
        allowed: mayReadPast(m, who, past),
      })
    }
  })
  const answers = await Promise.all(
    asked.map(async ({ what, work, allowed }) => ({ what, allowed, done: (await outcome(work)) === 'done' })),
  )
  expect(answers.filter(({ allowed, done }) => allowed !== done)).toEqual([])
  for (const [d, thing] of things.entries())
    expect({ d, commands: heard(thing) }).toEqual({ d, commands: [] })
  await watchAll(m, real)
  await listen(m, real)
}

/** Everybody who may watch a home does. Who lost the right keeps listening, to hear nothing, until it is there again. */
async function watchAll(m: ReferenceHomes, { clients, homes, watching }: Real): Promise<void> {
  for (const { who, h } of everybodyInHomes()) {
    const may = mayInHome(m, who, h, 'view')
    const index = watching.findIndex((each) => each.who === who && each.home === h)
    const open = watching[index]
    if (open) {
      expect({ who, h, ended: open.ended && !open.lost && may }).toEqual({ who, h, ended: false })
      open.lost ||= !may
      if (!open.lost || !may) continue
      open.seen.close()
      watching.splice(index, 1)
    }
    if (!may) continue
    const seen = await watch({ client: at(clients, who), householdId: at(homes, h) })
    const entry: Watching = { who, home: h, seen, may: new Set(), lost: false, ended: false }
    void seen.ended.then(() => {
      entry.ended = true
    })
    watching.push(entry)
  }
}

/** Every device says something, and exactly those hear it who may see the device. */
async function listen(m: ReferenceHomes, { things, watching }: Real): Promise<void> {
  for (const [d, thing] of things.entries()) {
    const { online: isOnline, home } = at(m.devices, d)
    if (!isOnline) continue
    const mark = randomUUID().slice(0, 30)
    const told = watching.filter(({ who, home: h }) => h === home && mayOn(m, who, d, 'view'))
    for (const { may } of told) may.add(mark)
    const answer = await say(thing, 'attributes', { 'BasicInformation.NodeLabel': mark })
    expect({ d, answer }).toEqual({ d, answer: home === undefined ? 0x87 : 0 })
    if (home === undefined) continue
    await vi.waitFor(() => {
      for (const { who, seen, lost } of told)
        expect({ who, told: lost || marksOf(seen).includes(mark) }).toEqual({ who, told: true })
    }, patience)
  }
  for (const { who, home, seen, may } of watching) {
    const marks = marksOf(seen).filter((mark) => !may.has(mark))
    expect({ who, home, marks }).toEqual({ who, home, marks: [] })
  }
}

const marksOf = ({ updates }: Watch) =>
  updates.flatMap(({ payload }) => (payload?.['1/BasicInformation.NodeLabel'] ?? []) as string[])
