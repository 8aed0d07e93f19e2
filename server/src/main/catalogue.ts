import { availabilityFields, connectionCountFields } from '../gateway/index.ts'
import { commandEventFields } from '../home/index.ts'
import { sessionFields } from '../identity/index.ts'
import { type Catalogue, createCatalogue } from '../insight/index.ts'
import { householdEventFields, modelFields, tenureFields } from '../registry/index.ts'
import { streamRecordFields } from '../stream/index.ts'
import { personFields } from '../vault/index.ts'

/** The records of all rooms, beside Matter's own. */
export function fieldCatalogue(clusters?: readonly string[]): Promise<Catalogue> {
  return createCatalogue({
    records: [
      personFields,
      sessionFields,
      householdEventFields,
      tenureFields,
      modelFields,
      streamRecordFields,
      availabilityFields,
      connectionCountFields,
      commandEventFields,
    ],
    clusters,
  })
}
