import { attributes, type Behaviour, between, done, event, type Random, unsupported } from './behaviour.ts'

function lock(random: Random): Behaviour {
  let locked = true
  const turn = (toLocked: boolean, source: 'Manual' | 'Remote' | 'Keypad') => {
    locked = toLocked
    return [
      event('DoorLock.LockOperation', {
        LockOperationType: locked ? 'Lock' : 'Unlock',
        OperationSource: source,
        UserIndex: null,
        FabricIndex: null,
        SourceNode: null,
      }),
      attributes({ 'DoorLock.LockState': locked ? 'Locked' : 'Unlocked' }),
    ]
  }
  return {
    wake: () => [
      attributes({
        'DoorLock.LockState': locked ? 'Locked' : 'Unlocked',
        'DoorLock.LockType': 'DeadBolt',
        'DoorLock.ActuatorEnabled': true,
        'DoorLock.OperatingMode': 'Normal',
      }),
    ],
    stir: () => turn(!locked, random() < 0.5 ? 'Manual' : 'Keypad'),
    obey(command) {
      if (command === 'DoorLock.LockDoor') return done(...turn(true, 'Remote'))
      if (command === 'DoorLock.UnlockDoor') return done(...turn(false, 'Remote'))
      return unsupported
    },
  }
}

function bulb(random: Random): Behaviour {
  let on = false
  let level = 254
  let hue = 32
  let saturation = 90
  const state = () =>
    attributes({
      'OnOff.OnOff': on,
      'LevelControl.CurrentLevel': level,
      'ColorControl.CurrentHue': hue,
      'ColorControl.CurrentSaturation': saturation,
    })
  return {
    wake: () => [state()],
    stir() {
      const choice = random()
      if (choice < 0.3) on = !on
      else if (choice < 0.7) level = between(random, 1, 254)
      else hue = between(random, 0, 254)
      return [state()]
    },
    obey(command, args) {
      const number = (name: string) => Number(args[name])
      if (command === 'OnOff.On') on = true
      else if (command === 'OnOff.Off') on = false
      else if (command === 'OnOff.Toggle') on = !on
      else if (command === 'LevelControl.MoveToLevel' || command === 'LevelControl.MoveToLevelWithOnOff') {
        level = number('Level')
        if (command.endsWith('WithOnOff')) on = level > 1
      } else if (command === 'ColorControl.MoveToHue') hue = number('Hue')
      else if (command === 'ColorControl.MoveToSaturation') saturation = number('Saturation')
      else if (command === 'ColorControl.MoveToHueAndSaturation') {
        hue = number('Hue')
        saturation = number('Saturation')
      } else return unsupported
      return done(state())
    },
  }
}

function plug(random: Random): Behaviour {
  let on = true
  // Milliwatts (Matter ElectricalPowerMeasurement, power-mW).
  const power = () =>
    attributes({ 'ElectricalPowerMeasurement.ActivePower': on ? between(random, 4_000, 90_000) : 0 })
  const state = () => attributes({ 'OnOff.OnOff': on })
  return {
    wake: () => [state(), power()],
    stir: () => [power()],
    obey(command) {
      if (command === 'OnOff.On') on = true
      else if (command === 'OnOff.Off') on = false
      else if (command === 'OnOff.Toggle') on = !on
      else return unsupported
      return done(state(), power())
    },
  }
}

function camera(): Behaviour {
  let occupied = false
  const state = () => attributes({ 'OccupancySensing.Occupancy': occupied ? 1 : 0 })
  return {
    wake: () => [state()],
    stir() {
      occupied = !occupied
      return [event('OccupancySensing.OccupancyChanged', { Occupancy: occupied ? 1 : 0 }), state()]
    },
    obey: () => unsupported,
  }
}

const behaviours: Record<string, (random: Random) => Behaviour> = {
  Camera: camera,
  DoorLock: lock,
  ExtendedColorLight: bulb,
  OnOffPlugInUnit: plug,
}

export const simulatedDeviceTypes: readonly string[] = Object.keys(behaviours)

/** The inside of a device of a Matter device type; undefined for a type that is not simulated. */
export function behaviourOf(deviceType: string, random: Random): Behaviour | undefined {
  return behaviours[deviceType]?.(random)
}
