export { type ClientConfig, readClientConfig } from './client-config.ts'
export { type Config, readConfig } from './config.ts'
export { type RunningServer, type StartOptions, startServer } from './server.ts'
