import { type AccountId, AppError, type Clock, isAppError, type Log } from '../core/index.ts'
import type { Home, TimelinePage } from '../home/index.ts'
import type { Identity } from '../identity/index.ts'
import type { HeldDevice, Household, Registry } from '../registry/index.ts'
import type { Vault } from '../vault/index.ts'
import type { ExportRecord } from './face.ts'
import { grantRecord, guestRecord, iso, scheduleRecord } from './records.ts'

/** What is in memory at a time, besides one page's content. */
const PAGE = 100

export interface ExportDependencies {
  vault: Pick<Vault, 'export'>
  identity: Pick<Identity, 'passkeys' | 'sessions' | 'notices'>
  registry: Pick<
    Registry,
    'households' | 'invitations' | 'supportAccess' | 'householdLog' | 'devices' | 'pastDevices'
  >
  home: Pick<Home, 'device' | 'timeline' | 'pastTimeline'>
  clock: Clock
  log: Log
}

type Records = AsyncGenerator<ExportRecord>

interface Page {
  limit: number
  before: number | undefined
}

/** The pieces of an export, in their order. Nothing is kept from one page to the next: each asks for the right anew. */
export function createExport(d: ExportDependencies) {
  const running = new Set<AccountId>()

  /**
   * Reads on while it may. What the person may not see any more ends here, with a line that says so; what does not open
   * is shown to nobody, and does not hold up the rest.
   */
  async function* readable(what: object, records: Records): Records {
    try {
      yield* records
    } catch (error) {
      if (isAppError(error, 'not_found') || isAppError(error, 'stale_tenure')) {
        yield { record: 'stopped', ...what, why: 'access_ended' }
      } else if (isAppError(error, 'integrity_failed')) {
        d.log.error('a part of an export did not open', { error })
        yield { record: 'stopped', ...what, why: 'unreadable' }
      } else throw error
    }
  }

  async function* account(accountId: AccountId): Records {
    const { email, name, createdHourMs } = await d.vault.export(accountId)
    yield {
      record: 'profile',
      accountId,
      email: email.reveal(),
      name: name.reveal(),
      createdHour: iso(createdHourMs),
    }
    for (const passkey of await d.identity.passkeys.list(accountId)) {
      const { passkeyId, name: passkeyName, synced, addedAtMs, usedAtMs } = passkey
      yield {
        record: 'passkey',
        passkeyId,
        name: passkeyName.reveal(),
        synced,
        addedAt: iso(addedAtMs),
        ...(usedAtMs === undefined ? {} : { usedAt: iso(usedAtMs) }),
      }
    }
    for (const session of await d.identity.sessions(accountId)) {
      const { client, beganIn, lastIn, beganAtMs, lastUsedHourMs } = session
      yield {
        record: 'session',
        client,
        beganIn,
        lastIn,
        beganAt: iso(beganAtMs),
        lastUsedHour: iso(lastUsedHourMs),
      }
    }
    for (const { kind, atMs } of await d.identity.notices(accountId)) {
      yield { record: 'notice', kind, at: iso(atMs) }
    }
  }

  async function* household(accountId: AccountId, { householdId, name, role, schedule }: Household): Records {
    const guest = schedule ? { guest: scheduleRecord(schedule) } : {}
    yield { record: 'household', householdId, name: name.reveal(), role, ...guest }
    yield* readable({ of: 'devices', householdId }, devices(accountId, householdId))
    if (role === 'guest') return
    yield* readable({ of: 'past_devices', householdId }, pastDevices(accountId, householdId))
    yield* readable({ of: 'household', householdId }, permissions(accountId, householdId))
    yield* readable({ of: 'log', householdId }, log(accountId, householdId))
  }

  async function* devices(accountId: AccountId, householdId: Household['householdId']): Records {
    for (const held of await d.registry.devices(accountId, householdId)) {
      const what = { of: 'timeline', deviceId: held.deviceId, tenureId: held.tenureId }
      yield* readable(what, device(accountId, held))
    }
  }

  async function* device(accountId: AccountId, { deviceId, tenureId, startedHourMs }: HeldDevice): Records {
    const { nickname, model, householdId, attributes } = await d.home.device(accountId, deviceId)
    yield {
      record: 'device',
      deviceId,
      tenureId,
      householdId,
      model: model.name,
      nickname: nickname?.reveal(),
      heldSinceHour: iso(startedHourMs),
      attributes: Object.fromEntries(
        Object.entries(attributes).map(([path, { value, atMs }]) => [path, { value, at: iso(atMs) }]),
      ),
    }
    const of = { deviceId, tenureId }
    yield* timeline(of, (page) => d.home.timeline(accountId, deviceId, { ...page, tenureId }))
  }

  /** What tenures left that have ended, as long as the household keeps it. */
  async function* pastDevices(accountId: AccountId, householdId: Household['householdId']): Records {
    for (const past of await d.registry.pastDevices(accountId, householdId)) {
      const { deviceId, tenureId, model, nickname, startedHourMs, endedAtMs, how } = past
      yield {
        record: 'past_device',
        deviceId,
        tenureId,
        householdId,
        model: model.name,
        nickname: nickname?.reveal(),
        heldSinceHour: iso(startedHourMs),
        endedAt: iso(endedAtMs),
        how,
      }
      const pages = (page: Page) => d.home.pastTimeline(accountId, tenureId, page)
      yield* readable({ of: 'timeline', deviceId, tenureId }, timeline({ deviceId, tenureId }, pages))
    }
  }

  async function* timeline(
    of: Pick<HeldDevice, 'deviceId' | 'tenureId'>,
    read: (page: Page) => Promise<TimelinePage>,
  ): Records {
    let before: number | undefined
    do {
      const page = await read({ limit: PAGE, before })
      for (const { seq, atMs, kind, payload } of page.entries) {
        yield { record: 'timeline', ...of, seq, at: iso(atMs), kind, payload }
      }
      before = page.next
    } while (before !== undefined)
  }

  async function* permissions(accountId: AccountId, householdId: Household['householdId']): Records {
    for (const { by, as, invitationId, expiresAtMs } of await d.registry.invitations(
      accountId,
      householdId,
    )) {
      if (by !== accountId) continue
      const guest = as.role === 'guest' ? { guest: guestRecord(as.guest) } : {}
      yield {
        record: 'invitation',
        householdId,
        invitationId,
        role: as.role,
        ...guest,
        expiresAt: iso(expiresAtMs),
      }
    }
    for (const { operator, devices, untilMs } of await d.registry.supportAccess(accountId, householdId)) {
      yield {
        record: 'support_access',
        householdId,
        operator,
        devices: devices.map(grantRecord),
        until: iso(untilMs),
      }
    }
  }

  async function* log(accountId: AccountId, householdId: Household['householdId']): Records {
    let before: number | undefined
    do {
      const page = await d.registry.householdLog(accountId, householdId, { limit: PAGE, before })
      // Other people stand in it by their ids alone: their names are theirs to export.
      for (const { seq, atMs, event } of page.entries) {
        yield { record: 'log', householdId, seq, at: iso(atMs), event }
      }
      before = page.next
    } while (before !== undefined)
  }

  return async function* everything(accountId: AccountId): Records {
    if (running.has(accountId)) {
      throw new AppError('rate_limited', {
        message: 'An export of this account is running already.',
        retryAfterSeconds: 60,
      })
    }
    running.add(accountId)
    let records = 0
    try {
      yield { record: 'export', format: 1, accountId, at: iso(d.clock.nowMs()) }
      for await (const record of parts(accountId)) {
        records += 1
        yield record
      }
      yield { record: 'end', records }
    } finally {
      running.delete(accountId)
    }
  }

  async function* parts(accountId: AccountId): Records {
    yield* account(accountId)
    for (const each of await d.registry.households(accountId)) {
      yield* readable({ of: 'household', householdId: each.householdId }, household(accountId, each))
    }
  }
}
