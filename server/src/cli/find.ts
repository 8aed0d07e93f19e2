import { type Client, isClientError } from '../client/index.ts'
import { AppError } from '../core/index.ts'
import type { DeviceShape, HouseholdShape, MemberShape, PastDeviceShape } from './shapes.ts'

export const NO_HOMES = 'No homes yet. Make one with: npx hearthlock homes create --name Home'

export async function listHouseholds(client: Client): Promise<HouseholdShape[]> {
  return (await client.request<{ households: HouseholdShape[] }>('GET', '/v1/households')).households
}

export async function listDevices(client: Client, householdId: string): Promise<DeviceShape[]> {
  return (await client.request<{ devices: DeviceShape[] }>('GET', `/v1/households/${householdId}/devices`))
    .devices
}

/** Newest first. */
export async function listPastDevices(client: Client, householdId: string): Promise<PastDeviceShape[]> {
  const path = `/v1/households/${householdId}/past-devices`
  const { devices } = await client.request<{ devices: PastDeviceShape[] }>('GET', path)
  return devices.sort((one, other) => other.endedAt.localeCompare(one.endedAt))
}

/** The home that a person means: by id or name; the only one when none is said. */
export async function findHousehold(client: Client, wanted: string | undefined): Promise<HouseholdShape> {
  const all = await listHouseholds(client)
  const fits =
    wanted === undefined ? all : all.filter((home) => home.householdId === wanted || home.name === wanted)
  const [only, second] = fits
  if (only && !second) return only
  if (all.length === 0) throw new AppError('invalid_request', { message: NO_HOMES })
  const what = second
    ? wanted === undefined
      ? 'You have several homes: say which with --home'
      : `Several homes are called "${wanted}": say which by its id`
    : `There is no home "${wanted}"`
  throw new AppError('invalid_request', { message: `${what}. List them with: npx hearthlock homes` })
}

/** The same for a home of the list: outside a guest's hours there is nothing to see, which is no failure. */
export async function devicesIn(
  client: Client,
  { householdId, role }: HouseholdShape,
): Promise<DeviceShape[]> {
  try {
    return await listDevices(client, householdId)
  } catch (error) {
    if (role === 'guest' && isClientError(error, 'not_found')) return []
    throw error
  }
}

/** The device that a person means: by nickname, id, or the beginning of an id. */
export async function findDevice(client: Client, wanted: string): Promise<DeviceShape> {
  const homes = await listHouseholds(client)
  const all = (await Promise.all(homes.map((home) => devicesIn(client, home)))).flat()
  const byName = all.filter((device) => device.nickname === wanted || device.deviceId === wanted)
  const fits =
    byName.length > 0
      ? byName
      : all.filter((device) => wanted.length >= 4 && device.deviceId.startsWith(wanted))
  const [only, second] = fits
  if (only && !second) return only
  throw new AppError('invalid_request', {
    message: `${second ? `Several devices fit "${wanted}"` : `There is no device "${wanted}"`}. List them with: npx hearthlock devices`,
  })
}

export async function listMembers(client: Client, householdId: string): Promise<MemberShape[]> {
  return (await client.request<{ members: MemberShape[] }>('GET', `/v1/households/${householdId}/members`))
    .members
}

/** The member that a person means: by name or id. */
export async function findMember(client: Client, householdId: string, wanted: string): Promise<MemberShape> {
  const all = await listMembers(client, householdId)
  const fits = all.filter(({ name, accountId }) => name === wanted || accountId === wanted)
  const [only, second] = fits
  if (only && !second) return only
  throw new AppError('invalid_request', {
    message: `${second ? `Several members fit "${wanted}"` : `There is no member "${wanted}"`}. List them with: npx hearthlock homes members`,
  })
}
