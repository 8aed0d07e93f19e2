import { timingSafeEqual } from 'node:crypto'
import { AppError, type Clock, type Database } from '../core/index.ts'
import type { KeyProvider } from './provider.ts'
import type { PurposeKey } from './sealing-key.ts'
import { hourOf, type KeysTables } from './wrapped-keys.ts'

const CHECKED = 'this database belongs to this root key'

/**
 * Compares the root key with the one this database was made with, version by version, before anything is read or
 * written with it. A new version is recorded only beside all older ones: they still open what they sealed.
 * @throws AppError root_key_refused
 */
export async function checkInstallation(o: {
  provider: KeyProvider
  database: Database
  clock: Clock
  checking: PurposeKey
}): Promise<void> {
  const checkValues = o.checking.digests(CHECKED)
  const offered = new Map(o.provider.versions().map(({ version }, i) => [version, checkValues[i] as Buffer]))
  const queries = o.database.queries.withTables<KeysTables>()
  const recorded = () => queries.selectFrom('keys.installation').selectAll().orderBy('root_version').execute()

  check(await recorded(), offered)
  await queries
    .insertInto('keys.installation')
    .values(
      [...offered].map(([root_version, check_value]) => ({
        root_version,
        check_value,
        created_hour: hourOf(o.clock.nowMs()),
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  // Again: of two first starts at once with two keys, one came too late.
  check(await recorded(), offered)
}

function check(
  recorded: { root_version: number; check_value: Buffer }[],
  offered: Map<number, Buffer>,
): void {
  for (const { root_version, check_value } of recorded) {
    const value = offered.get(root_version)
    if (!value) {
      throw new AppError('root_key_refused', {
        message: `The root key file lacks version ${root_version}, which this database uses. Bring back the newest copy of the file.`,
      })
    }
    if (!timingSafeEqual(value, check_value)) {
      throw new AppError('root_key_refused', {
        message:
          'This database belongs to another root key. Bring back the root key file that was in use with this database.',
      })
    }
  }
}
