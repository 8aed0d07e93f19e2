import type { Probe } from '../probe.ts'
import { clickhouseHttp } from './clickhouse-http.ts'
import { couchdb } from './couchdb.ts'
import { goDebug } from './go-debug.ts'
import { influxdb } from './influxdb.ts'
import { inspector } from './inspector.ts'
import { jolokia } from './jolokia.ts'
import { metrics } from './metrics.ts'
import { natsMonitoring } from './nats-monitoring.ts'
import { prometheus } from './prometheus.ts'
import { rabbitmq } from './rabbitmq.ts'
import { s3 } from './s3.ts'
import { searchCluster } from './search-cluster.ts'
import { searchDashboards } from './search-dashboards.ts'
import { springActuator } from './spring-actuator.ts'

/** Stores before what merely tells of a process: many of the former have pages of the latter as well. */
export const overHttp: readonly Probe[] = [
  searchCluster,
  searchDashboards,
  clickhouseHttp,
  influxdb,
  couchdb,
  rabbitmq,
  s3,
  prometheus,
  natsMonitoring,
  jolokia,
  inspector,
  springActuator,
  goDebug,
  metrics,
]
