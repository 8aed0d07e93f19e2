import Type from 'typebox'
import { type AccountId, isAppError } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import { Id, strict } from './shapes.ts'

/** Somebody whom the caller has to do with. Without a name: the account was erased. */
export const PersonShape = strict({
  accountId: Id,
  name: Type.Optional(Type.String({ description: 'Absent when the account was erased' })),
})
export type Person = Type.Static<typeof PersonShape>

/** Names as they are now, for showing them to people of the same household. E-mail addresses stay in the vault. */
export async function namePeople(
  vault: Pick<Vault, 'read'>,
  accountIds: Iterable<AccountId>,
): Promise<(accountId: AccountId) => Person> {
  const names = new Map<AccountId, string>()
  await Promise.all(
    [...new Set(accountIds)].map(async (accountId) => {
      try {
        names.set(accountId, (await vault.read(accountId)).name.reveal())
      } catch (error) {
        if (!isAppError(error, 'not_found')) throw error
      }
    }),
  )
  return (accountId) => {
    const name = names.get(accountId)
    return name === undefined ? { accountId } : { accountId, name }
  }
}
