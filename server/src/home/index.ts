import type { Migrations } from '../core/index.ts'

export type {
  CommandEvent,
  CommandRequest,
  CommandState,
  CommandView,
  Deliver,
  DeviceView,
  Home,
  LiveListener,
  LiveUpdate,
  TimelineEntry,
  TimelinePage,
} from './face.ts'
export { commandEventFields } from './face.ts'
export { createHome, type HomeDependencies, type HomeLimits } from './home.ts'

export const homeMigrations: Migrations = {
  room: 'home',
  folder: new URL('./migrations/', import.meta.url),
}
