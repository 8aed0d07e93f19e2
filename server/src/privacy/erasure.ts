import { type AccountId, AppError, type Database, type Tx } from '../core/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Mail } from '../mail/index.ts'
import type { Registry } from '../registry/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Privacy } from './face.ts'

export interface ErasureDependencies {
  database: Database
  registry: Pick<Registry, 'eraseAccount'>
  identity: Pick<Identity, 'eraseAccount' | 'isHeldBack'>
  vault: Pick<Vault, 'read' | 'erase'>
  mail: Pick<Mail, 'forget'>
  /** Takes the account's id out of what other rooms keep for incidents. */
  forgetElsewhere?: ((tx: Tx, accountId: AccountId) => Promise<void>) | undefined
}

/**
 * All or nothing: whatever refuses, nothing was erased. Keys are destroyed last of all, for in this process their handles
 * refuse from that moment on, whatever becomes of the transaction.
 */
export function createErasure(d: ErasureDependencies): Privacy['erase'] {
  return async (who, wishes) => {
    const { accountId } = who
    // Whoever took an account over by its mail must not be able to destroy it.
    if (await d.identity.isHeldBack(who)) throw new AppError('held_back')
    const { email } = await d.vault.read(accountId)
    const announce = await d.database.transaction(async (tx) => {
      const identityGone = await d.identity.eraseAccount(tx, accountId)
      const registryGone = await d.registry.eraseAccount(tx, accountId, wishes)
      await d.forgetElsewhere?.(tx, accountId)
      // After all that could still write to them.
      await d.mail.forget(tx, { accountId, email })
      await d.vault.erase(tx, accountId)
      return [registryGone, identityGone]
    })
    for (const tell of announce) tell()
  }
}
