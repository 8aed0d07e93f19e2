import { type ModelId, newId } from '../../src/core/index.ts'
import type { Model, ModelDefinition } from '../../src/registry/index.ts'
import { createMatterLibrary, type MatterLibrary } from '../../src/registry/matter-library.ts'
import { compileModel } from '../../src/registry/matter-model.ts'
import { parseModelDefinition } from '../../src/registry/model-definition.ts'
import { definition } from './world.ts'

export interface ShippedModels {
  library: MatterLibrary
  compile: (description: ModelDefinition) => Model
  cam: Model
  lock: Model
  bulb: Model
  plug: Model
}

/** The models of `server/models`, compiled without a database. */
export async function compileShippedModels(): Promise<ShippedModels> {
  const library = await createMatterLibrary()()
  const compile = (description: ModelDefinition) =>
    compileModel(library, newId<ModelId>(), parseModelDefinition(library, description))
  return {
    library,
    compile,
    cam: compile(definition('hearth-cam')),
    lock: compile(definition('hearth-lock')),
    bulb: compile(definition('hearth-bulb')),
    plug: compile(definition('hearth-plug')),
  }
}
