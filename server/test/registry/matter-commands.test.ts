import { describe, expect, it } from 'vitest'
import { compileShippedModels } from './shipped-models.ts'
import { definition } from './world.ts'

const { library, compile, lock, bulb, plug } = await compileShippedModels()

describe('commands', () => {
  it('carry the policy that stands closest', () => {
    expect(lock.checkCommand('DoorLock.LockDoor', {})).toEqual({
      ok: true,
      paths: ['1/DoorLock.LockDoor'],
      policy: { whenOffline: 'queue', expiresSeconds: 10 },
      act: 'control',
    })
    expect(lock.commandPolicy('DoorLock.UnlockDoor')).toEqual({ whenOffline: 'refuse', expiresSeconds: 5 })
    expect(lock.commandPolicy('Identify.Identify')).toEqual({ whenOffline: 'refuse', expiresSeconds: 10 })
    expect(bulb.commandPolicy('OnOff.On')).toEqual({ whenOffline: 'queue', expiresSeconds: 3600 })
    const bare = compile({
      ...definition('hearth-bulb'),
      commands: { 'OnOff.*': { whenOffline: 'queue', expiresSeconds: 7 } },
    })
    expect(bare.commandPolicy('OnOff.Toggle')).toEqual({ whenOffline: 'queue', expiresSeconds: 7 })
    expect(bare.commandPolicy('LevelControl.Stop').whenOffline).toBe('refuse')
  })

  it('that change who or what a device obeys take more than its control, as Matter’s privileges have it', () => {
    const actOf = (name: string) => library.cluster('DoorLock')?.commands.get(name)?.act
    const lasting = [
      'SetCredential',
      'ClearCredential',
      'SetUser',
      'ClearUser',
      'GetUser',
      'SetWeekDaySchedule',
    ]
    for (const name of lasting) expect([name, actOf(name)]).toEqual([name, 'configure'])
    for (const name of ['LockDoor', 'UnlockDoor', 'UnlockWithTimeout', 'UnboltDoor'])
      expect([name, actOf(name)]).toEqual([name, 'control'])
    const open = library.cluster('AdministratorCommissioning')?.commands.get('OpenCommissioningWindow')
    expect(open?.act).toBe('configure')
    expect(library.cluster('OnOff')?.commands.get('On')?.act).toBe('control')
    expect(lock.checkCommand('DoorLock.ClearUser', { UserIndex: 1 })).toMatchObject({ act: 'configure' })
  })

  it('to a lock never wait longer than ten seconds', () => {
    for (const [name] of library.cluster('DoorLock')?.commands ?? []) {
      expect(lock.commandPolicy(`DoorLock.${name}`).expiresSeconds).toBeLessThanOrEqual(10)
    }
  })

  it('are refused when unknown, when their arguments do not fit, and on an endpoint that is none', () => {
    const move = { Level: 128, TransitionTime: null, OptionsMask: 0, OptionsOverride: 0 }
    expect(bulb.checkCommand('LevelControl.MoveToLevel', move, 2)).toMatchObject({
      paths: ['2/LevelControl.MoveToLevel'],
    })
    expect(bulb.checkCommand('LevelControl.MoveToLevel', { ...move, Level: 255 })).toMatchObject({
      reason: 'LevelControl.MoveToLevel.Level: expected an integer 0..254',
    })
    expect(bulb.checkCommand('LevelControl.MoveToLevel', { Level: 1 }).ok).toBe(false)
    expect(bulb.checkCommand('OnOff.On', { Surprise: 1 }).ok).toBe(false)
    expect(bulb.checkCommand('OnOff.On', [])).toMatchObject({ ok: false })
    expect(bulb.checkCommand('OnOff.Explode', {})).toMatchObject({ reason: expect.stringMatching(/Toggle/) })
    expect(bulb.checkCommand('DoorLock.LockDoor', {}).ok).toBe(false)
    // A response is no command.
    expect(lock.checkCommand('DoorLock.GetUserResponse', { UserIndex: 1 }).ok).toBe(false)
    for (const endpoint of [-1, 17, 1.5, Number.NaN])
      expect(bulb.checkCommand('OnOff.On', {}, endpoint).ok).toBe(false)
  })
})

describe('what others than the sender may read of a command', () => {
  it('is without its octet strings, which are named, wherever they stand', () => {
    expect(lock.redactArguments('DoorLock.UnlockDoor', { PinCode: 'MTIzNA==' })).toEqual({
      value: {},
      withheld: ['PinCode'],
    })
    const wifi = compile({ ...definition('hearth-bulb'), clusters: ['NetworkCommissioning'] })
    const found = { Ssid: 'SG9tZQ==', Bssid: 'AAAAAAAA', Channel: 6 }
    expect(
      wifi.redactResponse('NetworkCommissioning.ScanNetworks', {
        NetworkingStatus: 0,
        WiFiScanResults: [found, found],
      }),
    ).toEqual({
      value: { NetworkingStatus: 0, WiFiScanResults: [{ Channel: 6 }, { Channel: 6 }] },
      withheld: ['WiFiScanResults.Ssid', 'WiFiScanResults.Bssid'],
    })
  })

  it('is without the secrets that Matter writes as text', () => {
    const tv = compile({
      ...definition('hearth-bulb'),
      clusters: ['ContentControl', 'WebRtcTransportProvider'],
    })
    expect(tv.redactArguments('ContentControl.UpdatePin', { OldPin: '1234', NewPin: '5678' })).toEqual({
      value: {},
      withheld: ['OldPin', 'NewPin'],
    })
    const servers = [{ UrLs: ['turn:relay.example'], Username: 'ada', Credential: 'secret' }]
    expect(
      tv.redactArguments('WebRtcTransportProvider.SolicitOffer', { IceServers: servers }).withheld,
    ).toEqual(['IceServers.Credential'])
  })

  it('is without what does not fit, and nothing of what Matter does not define', () => {
    expect(lock.redactResponse('DoorLock.GetUser', { UserIndex: 'MTIzNA==', 'a field': {} })).toEqual({
      value: {},
      withheld: ['UserIndex', '(unknown)'],
    })
    expect(lock.redactResponse('DoorLock.UnlockDoor', { UserIndex: 1 }).value).toEqual({})
    expect(lock.redactResponse(undefined, { UserIndex: 1 }).value).toEqual({})
    expect(lock.redactArguments('DoorLock.Nothing', { UserIndex: 1 }).value).toEqual({})
    expect(lock.redactArguments('DoorLock.LockDoor', { PinCode: null })).toEqual({
      value: {},
      withheld: ['PinCode'],
    })
  })

  it('is all of it where nothing is secret', () => {
    const move = { Level: 128, TransitionTime: null, OptionsMask: 0, OptionsOverride: 0 }
    expect(bulb.redactArguments('LevelControl.MoveToLevel', move)).toEqual({ value: move, withheld: [] })
    expect(bulb.redactArguments('OnOff.On', {})).toEqual({ value: {}, withheld: [] })
  })
})

describe('results', () => {
  const id = '3f0a6f1e-5d1c-4a55-9d2e-0c2b6c1f2a3b'

  it('name a command and a Matter status', () => {
    expect(plug.checkResult({ id, status: 'SUCCESS' })).toEqual({
      ok: true,
      paths: [],
      commandId: id,
      status: 'SUCCESS',
    })
    expect(plug.checkResult({ id, status: 'INVALID_IN_STATE', response: {} }).ok).toBe(true)
    for (const payload of [
      {},
      { id },
      { id, status: 'Success' },
      { id, status: 0 },
      { id: 'x', status: 'SUCCESS' },
      { id, status: 'SUCCESS', more: 1 },
      { id, status: 'SUCCESS', response: [] },
    ]) {
      expect(plug.checkResult(payload).ok).toBe(false)
    }
  })

  it('are bounded in depth and size', () => {
    let deep: object = {}
    for (let level = 0; level < 5000; level++) deep = { deep }
    expect(plug.checkResult({ id, status: 'SUCCESS', response: deep }).ok).toBe(false)
    expect(plug.checkResult({ id, status: 'SUCCESS', response: { list: Array(600).fill(1) } }).ok).toBe(false)
    expect(plug.checkResult({ id, status: 'SUCCESS', response: { list: Array(400).fill(1) } }).ok).toBe(true)
  })

  it('bear the response that Matter defines for the command', () => {
    expect(
      lock.checkResponse('DoorLock.SetCredential', {
        Status: 'Success',
        UserIndex: 1,
        NextCredentialIndex: null,
      }).ok,
    ).toBe(true)
    expect(lock.checkResponse('DoorLock.SetCredential', { Status: 'Perhaps' }).ok).toBe(false)
    expect(lock.checkResponse('DoorLock.LockDoor', undefined).ok).toBe(true)
    expect(lock.checkResponse('DoorLock.LockDoor', { Surprise: 1 }).ok).toBe(false)
  })
})
