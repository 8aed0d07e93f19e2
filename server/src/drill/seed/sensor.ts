import { setTimeout as delay } from 'node:timers/promises'
import mqtt from 'mqtt'
import type { Client } from '../../client/index.ts'
import { AppError } from '../../core/index.ts'
import type { MarkedHousehold } from './cast.ts'
import type { Provisioned } from './shapes.ts'

/** What the drill's own sensor is made of: clusters whose attributes say where somebody lives and in which network. */
export const SENSOR = {
  name: 'drill-sensor',
  title: 'Drill sensor',
  vendor: 'The drill',
  deviceType: 'TemperatureSensor',
  clusters: ['BasicInformation', 'GeneralDiagnostics', 'WiFiNetworkDiagnostics'],
  firmware: '1.0.0',
  commands: { '*': { whenOffline: 'refuse', expiresSeconds: 10 } },
  claimPolicy: 'possession',
  credentialRotation: false,
}

export function connectSensor(
  mqttUrl: string,
  ca: string,
  { deviceId, certificate, privateKey }: Provisioned,
) {
  return mqtt.connectAsync(mqttUrl, {
    protocolVersion: 5,
    clientId: deviceId,
    ca,
    cert: certificate,
    key: privateKey ?? '',
  })
}

/**
 * What a device knows of the network that it is in, told as Matter's diagnostics tell it.
 * @throws AppError unavailable when it did not arrive: a drill that looks for what was never there proves nothing
 */
export async function reportNetwork(o: {
  socket: mqtt.MqttClient
  deviceId: string
  household: MarkedHousehold
  owner: Client
}): Promise<void> {
  const { socket, deviceId, household, owner } = o
  const mac = Buffer.from(household.macAddress.reveal().replaceAll(':', ''), 'hex').toString('base64')
  const address = Buffer.from(household.ipAddress.reveal().split('.').map(Number)).toString('base64')
  const report = {
    'BasicInformation.SerialNumber': household.serialNumber.reveal(),
    'BasicInformation.NodeLabel': household.networkName.reveal().slice(0, 32),
    'WiFiNetworkDiagnostics.Bssid': mac,
    'GeneralDiagnostics.NetworkInterfaces': [
      {
        Name: household.networkName.reveal().slice(0, 32),
        IsOperational: true,
        OffPremiseServicesReachableIPv4: null,
        OffPremiseServicesReachableIPv6: null,
        HardwareAddress: mac,
        IPv4Addresses: [address],
        IPv6Addresses: [],
        Type: 'WiFi',
      },
    ],
  }
  await socket.publishAsync(`hearth/1/${deviceId}/attributes`, JSON.stringify(report), { qos: 1 })
  for (let tries = 0; tries < 100; tries += 1) {
    const device = await owner.request<{ attributes: object }>('GET', `/v1/devices/${deviceId}`)
    if (Object.keys(report).every((name) => `1/${name}` in device.attributes)) return
    await delay(50)
  }
  throw new AppError('unavailable', { message: 'What the device of the drill reported did not arrive.' })
}
