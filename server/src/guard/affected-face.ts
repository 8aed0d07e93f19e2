import type { AccountId, TenureId, Tx } from '../core/index.ts'

export interface AffectedWindow {
  /** A copy's name or id. */
  store: string
  fromMs: number
  toMs: number
}

export interface AffectedList extends AffectedWindow {
  affectedId: string
  madeAtMs: number
  by: AccountId
  /** The finding that it was made for. */
  findingId?: number | undefined
  /** Accounts, erased ones among them. */
  people: number
  households: number
  devices: number
  tenures: number
  /** Each field that was in the store, and of how many people. */
  fields: { name: string; people: number }[]
}

export interface AffectedPerson {
  accountId: AccountId
  /** In how many tenures of devices their data was. */
  tenures: number
  fields: string[]
}

/** How the guard learns whose data is where; other rooms know. */
export interface AffectedParts {
  /** Whose data went into the store between these moments, and which fields. @throws AppError not_found */
  touched(window: AffectedWindow): Promise<readonly { tenureId: TenureId; fields: readonly string[] }[]>
  /** Around whom a device was in these spans of its tenures. */
  present(spans: readonly { tenureId: TenureId; fromMs: number; toMs: number }[]): Promise<
    readonly {
      tenureId: TenureId
      deviceId: string
      householdId: string
      accountIds: readonly AccountId[]
    }[]
  >
}

export interface Affected {
  /** Of an erased account: lists keep their numbers, under an id that is nobody's. */
  forget(tx: Tx, accountId: AccountId): Promise<void>
  /**
   * Exactly whose data can have been in the store: everybody around whom a device was, from the beginning of its tenure until
   * the end of the window, when data of that tenure went in during the window.
   * @throws AppError not_found, invalid_request
   */
  make(window: AffectedWindow, by: AccountId, findingId?: number): Promise<AffectedList>
  /** @throws AppError not_found */
  get(affectedId: string): Promise<AffectedList>
  /** The newest fifty. */
  list(): Promise<AffectedList[]>
  /** In the order of their ids; `limit` 1 to 1000. It is written down who looked. @throws AppError not_found, invalid_request */
  people(
    affectedId: string,
    by: AccountId,
    page: { after?: AccountId | undefined; limit: number },
  ): Promise<AffectedPerson[]>
}
