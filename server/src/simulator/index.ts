export type { Credential } from './credential.ts'
export { simulatedDeviceTypes } from './devices.ts'
export type { SimulatedDevice } from './simulated-device.ts'
export { type Simulator, type SimulatorOptions, type SimulatorStats, startSimulator } from './simulator.ts'
