import { isDeepStrictEqual } from 'node:util'
import {
  type AccountId,
  AppError,
  type Caches,
  type Database,
  type ModelId,
  newId,
  type RecordAct,
} from '../core/index.ts'
import { isViolation } from './database-error.ts'
import type { Model, ModelDefinition } from './face.ts'
import type { MatterLibrary } from './matter-library.ts'
import { compileModel } from './matter-model.ts'
import { parseModelDefinition } from './model-definition.ts'
import type { RegistryTables } from './tables.ts'

export interface Models {
  add(definition: ModelDefinition, by?: AccountId): Promise<Model>
  get(id: ModelId): Promise<Model>
  byName(name: string): Promise<Model | undefined>
  all(): Promise<Model[]>
}

/** The schema registry. Definitions rest in the database; an id never changes its meaning, so ids may be cached. */
export function createModels(deps: {
  database: Database
  library: () => Promise<MatterLibrary>
  caches: Caches
  recordAct: RecordAct
}): Models {
  const { database, library } = deps
  const cache = deps.caches.create<ModelId, { id: ModelId; model: Promise<Model> }>({
    name: 'models',
    belongs: (kept, id) => kept.id === id,
    max: 500,
  })

  function compiled(id: ModelId, definition: () => Promise<ModelDefinition>): Promise<Model> {
    const known = cache.get(id)
    if (known) return known.model
    const model = Promise.all([library(), definition()]).then(([matter, found]) =>
      compileModel(matter, id, found),
    )
    cache.set(id, { id, model })
    model.catch(() => cache.delete(id))
    return model
  }

  async function read(id: ModelId): Promise<ModelDefinition> {
    const queries = database.queries.withTables<RegistryTables>()
    const row = await queries
      .selectFrom('registry.model')
      .select('definition')
      .where('model_id', '=', id)
      .executeTakeFirst()
    if (!row) throw new AppError('not_found')
    return row.definition
  }

  /** The id under which this very definition is stored from now on. */
  async function store(definition: ModelDefinition, by: AccountId | undefined): Promise<ModelId> {
    return database.transaction(async (transaction) => {
      const tx = transaction.withTables<RegistryTables>()
      const old = await tx
        .selectFrom('registry.model')
        .select(['model_id', 'definition'])
        .where('name', '=', definition.name)
        .forUpdate()
        .executeTakeFirst()
      if (old) {
        if (isDeepStrictEqual(old.definition, definition)) return old.model_id
        // Devices were made to the old one: what they may say can't change under them. The foreign key holds that.
        await tx.deleteFrom('registry.model').where('model_id', '=', old.model_id).execute()
      }
      const id = newId<ModelId>()
      await tx
        .insertInto('registry.model')
        .values({ model_id: id, name: definition.name, definition: JSON.stringify(definition) })
        .execute()
      await deps.recordAct(transaction, {
        actor: by ?? 'system',
        act: 'models.added',
        subject: { kind: 'model', id },
        details: { name: definition.name, replaced: old !== undefined },
      })
      return id
    })
  }

  return {
    async add(input, by) {
      const parsed = parseModelDefinition(await library(), input)
      // As JSON keeps it, so that the same definition compares equal later.
      const definition = JSON.parse(JSON.stringify(parsed)) as ModelDefinition
      // Somebody else may add the same name at the same moment: then theirs is there at the second look.
      const id = await store(definition, by)
        .catch((error) => (isViolation(error, 'unique') ? store(definition, by) : Promise.reject(error)))
        .catch((error) => {
          if (!isViolation(error, 'foreign_key')) throw error
          throw new AppError('conflict', {
            message: 'A model of this name has devices already and cannot change. Choose another name.',
          })
        })
      return compiled(id, async () => definition)
    },

    get: (id) => compiled(id, () => read(id)),

    async byName(name) {
      const queries = database.queries.withTables<RegistryTables>()
      const row = await queries
        .selectFrom('registry.model')
        .select(['model_id', 'definition'])
        .where('name', '=', name)
        .executeTakeFirst()
      return row && compiled(row.model_id, async () => row.definition)
    },

    async all() {
      const queries = database.queries.withTables<RegistryTables>()
      const rows = await queries
        .selectFrom('registry.model')
        .select(['model_id', 'definition'])
        .orderBy('name')
        .execute()
      return Promise.all(rows.map((row) => compiled(row.model_id, async () => row.definition)))
    },
  }
}
