import { recordFields } from '../core/index.ts'

/** What the server itself knows of a device's connection, as it stands in the stream. */
export interface Availability {
  online: boolean
}

export const availabilityFields = recordFields<Availability>('Availability', { online: 'metric' })

export function contentOf(availability: Availability): Buffer {
  return Buffer.from(JSON.stringify(availability))
}
