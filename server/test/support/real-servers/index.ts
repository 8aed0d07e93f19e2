export { type CertificateFiles, makeCertificate, makeKeyStore } from './certificate.ts'
export { clickhouse, startClickhouse } from './clickhouse.ts'
export { etcd, etcdctl, onEtcd, startEtcd } from './etcd.ts'
export { ferretdb, startFerretdb } from './ferretdb.ts'
export { influxdb, startInfluxdb } from './influxdb.ts'
export { jolokia, startJolokia } from './jolokia.ts'
export { kafka, startKafka } from './kafka.ts'
export { mariadb, startMariadb } from './mariadb.ts'
export { memcached, startMemcached } from './memcached.ts'
export { type MosquittoOptions, mosquitto, startMosquitto } from './mosquitto.ts'
export { nats, startNats } from './nats.ts'
export { type Asked, answers, ask } from './over-http.ts'
export { startPostgresql } from './postgresql.ts'
export { acceptsConnections, freePorts, type RealServer, run, startReal } from './process.ts'
export type { JavaProgram, Program } from './programs.ts'
export { prometheus, startPrometheus } from './prometheus.ts'
export { rabbitmq, startRabbitmq } from './rabbitmq.ts'
export { redis, startRedis } from './redis.ts'
export { type S3proxyOptions, s3proxy, startS3proxy } from './s3proxy.ts'
export {
  elasticsearch,
  type OpenSearchOptions,
  opensearch,
  startElasticsearch,
  startOpenSearch,
} from './search-cluster.ts'
