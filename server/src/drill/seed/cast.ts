import { randomBytes, randomInt } from 'node:crypto'
import { Personal, Secret } from '../../core/index.ts'
import type { Known, KnownKind } from '../known.ts'

/** One household with all that could name it: every value is of this run only, so that finding one proves something. */
export interface MarkedHousehold {
  whose: string
  email: Personal
  name: Personal
  password: Secret
  home: Personal
  nicknames: [Personal, Personal, Personal]
  networkName: Personal
  macAddress: Personal
  serialNumber: Personal
  ipAddress: Personal
  /** What its lock is opened with: six digits. */
  pin: Secret
}

const FIRST = ['Ottilie', 'Søren', 'Aurélie', 'Władysław', 'Zoë', 'Ingeborg', 'Íñigo', 'Théodora']
const LAST = ['Quarrington', 'Oyelaran', 'Brânzei', 'Featherstonehaugh', 'Nakagawara', 'Villalobos']
const ROOMS = ['Conservatory', 'Gästezimmer', "Nanna's room", 'Boot room', 'Cellier']

export function markedHousehold(number: number): MarkedHousehold {
  const tag = () => randomBytes(4).toString('hex')
  const first = pick(FIRST)
  const last = `${pick(LAST)}-${capital(tag())}`
  const room = () => new Personal(`${pick(ROOMS)} ${tag()}`)
  return {
    whose: `household ${number}`,
    email: new Personal(`${plain(first)}.${plain(last)}+home@drill-${tag()}.example`),
    name: new Personal(`${first} ${last}`),
    password: new Secret(`${randomBytes(12).toString('base64url')} of the drill`),
    home: new Personal(`The ${last}s’ home`),
    nicknames: [room(), room(), room()],
    networkName: new Personal(`FRITZ!Box ${capital(tag())} “Nest”`),
    // Locally administered addresses belong to no maker.
    macAddress: new Personal(
      ['02', ...(randomBytes(5).toString('hex').match(/../g) ?? [])].join(':').toUpperCase(),
    ),
    serialNumber: new Personal(`HL${randomInt(10, 99)}-${tag().toUpperCase()}-${tag().toUpperCase()}`),
    // RFC 2544's range: nobody's network.
    ipAddress: new Personal(`198.${randomInt(18, 20)}.${randomInt(100, 255)}.${randomInt(100, 255)}`),
    pin: new Secret(String(randomInt(100_000, 1_000_000))),
  }
}

/** What an attacker knows of them all along. */
export function knownOf(household: MarkedHousehold): Known[] {
  const known = (kind: KnownKind, value: Personal | Secret): Known => ({
    kind,
    whose: household.whose,
    value,
  })
  return [
    known('e-mail address', household.email),
    known('name', household.name),
    known('home', household.home),
    ...household.nicknames.map((nickname) => known('nickname', nickname)),
    known('network name', household.networkName),
    known('MAC address', household.macAddress),
    known('serial number', household.serialNumber),
    known('IP address', household.ipAddress),
    known('credential', household.password),
  ]
}

function pick<T>(list: readonly T[]): T {
  return list[randomInt(list.length)] as T
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function plain(name: string): string {
  return name
    .normalize('NFD')
    .replaceAll(/[^A-Za-z0-9-]/g, '')
    .toLowerCase()
}
