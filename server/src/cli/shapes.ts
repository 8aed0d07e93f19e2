/** The public API's shapes, as far as the commands print them (docs: /v1/openapi.json). */
export interface HouseholdShape {
  householdId: string
  name: string
  role: string
}

/** Without a name: the account was erased. */
export interface PersonShape {
  accountId: string
  name?: string
}

export interface GuestShape {
  until: string
  hours?: { timeZone: string; windows: { days: string[]; from: string; to: string }[] }
  devices: { deviceId: string; acts: string[] }[]
}

export interface MemberShape extends PersonShape {
  role: string
  guest?: GuestShape
}

export interface InvitationShape {
  invitationId: string
  by: PersonShape
  role: string
  guest?: GuestShape
  expiresAt: string
}

export interface SupportAccessShape {
  operator: PersonShape
  devices: { deviceId: string; acts: string[] }[]
  until: string
}

export interface LogEntryShape {
  seq: number
  at: string
  kind: string
  by?: PersonShape
  account?: PersonShape
  deviceId?: string
  details: Record<string, unknown>
}

export interface DeviceShape {
  deviceId: string
  householdId: string
  nickname?: string
  model: { name: string; title: string; deviceType: string }
  online: boolean
  lastSeenAt?: string
  attributes: Record<string, { value: unknown; at: string }>
}

export interface CommandShape {
  commandId: string
  deviceId: string
  command: string
  state: 'queued' | 'delivered' | 'succeeded' | 'failed' | 'expired'
  status?: string
  expiresAt: string
}

export interface PastDeviceShape {
  tenureId: string
  deviceId: string
  nickname?: string
  model: { name: string; title: string; deviceType: string }
  startedAt: string
  endedAt: string
  how?: string
}

/** Without reason and evidence where a household asks. */
export interface DisputeShape {
  disputeId: string
  deviceId: string
  state: string
  openedAt: string
  dueAt: string
  objection?: string
  reason?: string
  evidence?: string
}

export interface TimelineShape {
  entries: { seq: number; at: string; kind: string; payload: Record<string, unknown> }[]
  next?: number
}

export interface ProvisionedShape {
  deviceId: string
  certificate: string
  privateKey?: string
  claimCode: string
  qr: string
  password?: string
}
