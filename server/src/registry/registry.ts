import type { Clock, Database, DeviceId, Log } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import { createAuthority } from './authority.ts'
import { createDeviceAuthentication } from './device-authentication.ts'
import type { Registry } from './face.ts'
import { createHouseholds } from './households.ts'
import { createMatterLibrary } from './matter-library.ts'
import { createModels } from './models.ts'
import { createProvisioning } from './provisioning.ts'
import { createTenures } from './tenures.ts'

export interface RegistryOptions {
  database: Database
  keys: Keys
  clock: Clock
  log: Log
  /** A claim needs the device in hand and switched on. */
  isOnline: (deviceId: DeviceId) => boolean
}

export function createRegistry({ database, keys, clock, log, isOnline }: RegistryOptions): Registry {
  const models = createModels({ database, library: createMatterLibrary() })
  const authority = createAuthority({ database, keys, clock, log })
  const provision = createProvisioning({ database, keys, clock, models, authority })
  const authentication = createDeviceAuthentication({ database, keys, clock, models })
  const households = createHouseholds({ database, keys })
  const tenures = createTenures({ database, keys, clock, log, models, isOnline })

  return {
    start: authority.start,
    close: async () => {},

    addModel: models.add,
    model: models.get,
    modelByName: models.byName,
    models: models.all,

    authorityCertificate: authority.certificatePem,
    serverIdentity: authority.serverIdentity,
    provision,

    verifyDeviceCertificate: authentication.verifyDeviceCertificate,
    verifyDeviceToken: authentication.verifyDeviceToken,
    verifyDevicePassword: authentication.verifyDevicePassword,

    createHousehold: households.create,
    households: households.all,
    household: households.get,

    claim: tenures.claim,
    devices: tenures.devices,
    device: tenures.device,
    renameDevice: tenures.renameDevice,
    currentTenure: tenures.currentTenure,
    onTenureChange: tenures.onTenureChange,
    authorize: tenures.authorize,
    holdBack: tenures.holdBack,
    endHold: tenures.endHold,

    stats: () => ({ ...tenures.stats(), ...authentication.stats() }),
  }
}
