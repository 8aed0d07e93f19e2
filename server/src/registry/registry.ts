import {
  type Bus,
  type Caches,
  type Clock,
  createCaches,
  type Database,
  type DeviceId,
  type Log,
  noticeNothing,
  type PresentedInVain,
  type RecordAct,
  recordNothing,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import { createAccess } from './access.ts'
import { createAccessGrants } from './access-grants.ts'
import { createAccountErasure } from './account-erasure.ts'
import { createAuthority } from './authority.ts'
import { createChanges } from './changes.ts'
import { createClaims } from './claims.ts'
import { createCredentialRotation } from './credential-rotation.ts'
import type { DecoyIds } from './decoy-devices.ts'
import { createDeviceAuthentication } from './device-authentication.ts'
import { createDeviceResets } from './device-resets.ts'
import { createDisputes } from './disputes.ts'
import type { Registry } from './face.ts'
import { createHints } from './hints.ts'
import { createHouseholdEndings } from './household-endings.ts'
import type { Notify } from './household-event.ts'
import { createHouseholdLog } from './household-log.ts'
import { createHouseholds } from './households.ts'
import { createInvitations } from './invitations.ts'
import { createMatterLibrary } from './matter-library.ts'
import { createMembers } from './members.ts'
import { createMembershipHistory } from './membership-history.ts'
import { createMemberships } from './memberships.ts'
import { createModels } from './models.ts'
import { createPastTenures } from './past-tenures.ts'
import { createProvisioning } from './provisioning.ts'
import { createReleases } from './releases.ts'
import { createResets } from './resets.ts'
import { createStandings } from './standings.ts'
import { createSupport } from './support-access.ts'
import { createSupportUses } from './support-use.ts'
import { createTenureEndings } from './tenure-endings.ts'
import { createTenureLookup } from './tenure-lookup.ts'
import { createNicknames, createTenureStarts } from './tenure-starts.ts'
import { createTenures } from './tenures.ts'
import { createTransfers } from './transfers.ts'

export interface RegistryOptions {
  database: Database
  keys: Keys
  clock: Clock
  log: Log
  /** A claim needs the device in hand and switched on. */
  isOnline: (deviceId: DeviceId) => boolean | Promise<boolean>
  /** Brings what other processes on the same database do; without it there must be none. */
  bus?: Pick<Bus, 'subscribe' | 'onGap'> | undefined
  caches?: Caches | undefined
  /** Has people told what happened in their households; nobody is told without it. */
  notify?: Notify | undefined
  /** Has what operators do written down, in its transaction. */
  recordAct?: RecordAct | undefined
  /** Ids for devices that nobody makes, planted among those that are provisioned; none without it. */
  decoys?: DecoyIds | undefined
  /** Told of claim codes that were refused. */
  presentedInVain?: PresentedInVain | undefined
  /** How long a household may object before a dispute ends its tenure; 14 unless said. */
  disputeWaitDays?: number | undefined
}

export function createRegistry(options: RegistryOptions): Registry {
  const { database, keys, clock, log, isOnline, decoys } = options
  const caches = options.caches ?? createCaches({ log })
  const recordAct = options.recordAct ?? recordNothing
  const models = createModels({ recordAct, database, library: createMatterLibrary(), caches })
  const authority = createAuthority({ database, keys, clock, log })
  const provision = createProvisioning({ recordAct, database, keys, clock, models, authority, decoys })
  const authentication = createDeviceAuthentication({ database, keys, clock, models })
  const notify = options.notify ?? (async () => {})
  const presentedInVain = options.presentedInVain ?? noticeNothing
  const rotation = createCredentialRotation({ database, clock, authority })
  const changes = createChanges({ log })
  const hints = options.bus && createHints({ database, bus: options.bus, changes })
  const resets = createResets({ database, clock, bus: options.bus, decoys })
  const memberships = createMemberships({ database, keys, clock })
  const householdLog = createHouseholdLog({
    database,
    keys,
    clock,
    memberships,
    notify,
  })
  const households = createHouseholds({ database, keys, clock, memberships, householdLog })
  const grants = createAccessGrants({ database, keys, clock })
  const people = { database, keys, clock, memberships, grants, householdLog, changes }
  const members = createMembers(people)
  const invitations = createInvitations({ ...people, notify })
  const support = createSupport({ ...people, recordAct })
  const standings = createStandings({ database, keys, clock })
  const supportUsed = createSupportUses({ database, clock, householdLog })
  const access = createAccess({ clock, memberships, standings, supportUsed })
  const nicknames = createNicknames({ keys })
  const startTenure = createTenureStarts({ keys, clock, access, nicknames })
  const endings = createTenureEndings({ database, keys, clock, householdLog })
  const householdEndings = createHouseholdEndings({ keys, endings })
  const erasure = createAccountErasure({ clock, grants, householdEndings, householdLog, changes, support })
  const tenures = createTenures({ database, models, standings, access, nicknames })
  const starting = { access, nicknames, startTenure, householdLog, changes }
  const ending = { endings, householdLog, changes }
  const physicalResets = createDeviceResets({ database, keys, clock, ...ending })
  const claims = createClaims({
    database,
    keys,
    resets: physicalResets,
    isOnline,
    presentedInVain,
    ...starting,
  })
  const releases = createReleases({ database, access, ...ending })
  const transfers = createTransfers({ database, keys, clock, ...starting, ...ending })
  const waitDays = options.disputeWaitDays ?? 14
  const disputes = createDisputes({ recordAct, database, keys, clock, access, waitDays, ...ending })
  const past = createPastTenures({
    database,
    clock,
    models,
    access,
    standings,
    nicknames,
    endings,
    householdLog,
  })

  return {
    async start() {
      hints?.start()
      await resets.start()
      await authority.start()
    },
    async close() {
      hints?.close()
      resets.close()
    },

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
    ...rotation,

    createHousehold: households.create,
    households: households.all,
    household: households.get,
    householdLog: householdLog.read,

    ...members,
    ...invitations,
    ...support,
    ...erasure,

    claim: claims.claim,
    release: releases.release,
    offerTransfer: transfers.offerTransfer,
    transferOffer: transfers.transferOffer,
    cancelTransfer: transfers.cancelTransfer,
    acceptTransfer: transfers.acceptTransfer,
    recordReset: physicalResets.recordReset,
    isResetKnown: physicalResets.isResetKnown,
    ...disputes,
    pastDevices: past.pastDevices,
    pastDevice: past.pastDevice,
    destroyHistory: past.destroyHistory,
    beforeTenureEnds: endings.beforeTenureEnds,
    devices: tenures.devices,
    device: tenures.device,
    renameDevice: tenures.renameDevice,
    ...createTenureLookup({ database, models, decoys }),
    currentTenure: tenures.currentTenure,
    formerTenures: tenures.formerTenures,
    holdsNow: tenures.holdsNow,
    onTenureChange: changes.onTenure,
    onAccessChange: changes.onAccess,
    authorize: tenures.authorize,
    holdBack: tenures.holdBack,
    endHold: tenures.endHold,
    resets,
    ...createMembershipHistory({ database }),

    stats: () => ({
      ...claims.stats(),
      ...transfers.stats(),
      ...access.stats(),
      ...authentication.stats(),
    }),
  }
}
