import type { Metric } from './metric.ts'

export const metrics: readonly Metric[] = [
  {
    name: 'activations',
    title: 'Device activations a day',
    meaning:
      'Tenures that began on that day (UTC) and in which the device was heard of, by model and by the firmware that the device had then. A device that changes hands is activated again.',
    needs: ['device.activated', 'device.model', 'device.firmware'],
    sql: `select cast(date_trunc('day', observed_at) as date) as day, model, firmware,
  cast(sum(count) as bigint) as activations, cast(sum(count) as bigint) as group_size
from observation where field = 'device.activated'
group by 1, 2, 3 order by 1, 2, 3`,
    chart: { x: 'day', y: 'activations' },
  },
  {
    name: 'failed-connections',
    title: 'Failed connection rate',
    meaning:
      'Of the attempts of devices to connect in that hour (UTC), the share that was refused, by model and firmware. An attempt that names no known device counts for the model "unknown".',
    needs: ['connection.outcome', 'device.model', 'device.firmware'],
    sql: `select observed_at as hour, model, firmware,
  cast(sum(case when label <> 'accepted' then count else 0 end) as bigint) as failed,
  cast(sum(count) as bigint) as attempts,
  cast(round(cast(sum(case when label <> 'accepted' then count else 0 end) as numeric) / cast(sum(count) as numeric), 4) as double precision) as rate,
  cast(sum(count) as bigint) as group_size
from observation where field = 'connection.outcome'
group by 1, 2, 3 order by 1, 2, 3`,
    chart: { x: 'hour', y: 'rate' },
  },
  {
    name: 'daily-active',
    title: 'Daily active devices',
    meaning: 'Devices that were heard of on that day (UTC), by model.',
    needs: ['device.active', 'device.model', 'device.pseudonym'],
    sql: `select cast(date_trunc('day', observed_at) as date) as day, model,
  count(distinct device) as devices, count(distinct device) as group_size
from observation where field = 'device.active'
group by 1, 2 order by 1, 2`,
    chart: { x: 'day', y: 'devices' },
  },
  {
    name: 'weekly-active',
    title: 'Weekly active devices',
    meaning: 'Devices that were heard of in that week (Monday, UTC), by model.',
    needs: ['device.active', 'device.model', 'device.pseudonym'],
    sql: `select cast(date_trunc('week', observed_at) as date) as week, model,
  count(distinct device) as devices, count(distinct device) as group_size
from observation where field = 'device.active'
group by 1, 2 order by 1, 2`,
    chart: { x: 'week', y: 'devices' },
  },
  {
    name: 'retention',
    title: 'Retention by activation week',
    meaning:
      'Of the devices that were activated in a week (Monday, UTC), how many were heard of so many weeks later.',
    needs: ['device.activated', 'device.active', 'device.pseudonym'],
    sql: `with began as (
  select device, min(cast(date_trunc('week', observed_at) as date)) as week
  from observation where field = 'device.activated' group by device
), heard as (
  select distinct device, cast(date_trunc('week', observed_at) as date) as week
  from observation where field = 'device.active'
)
select began.week as week, cast(round((heard.week - began.week) / 7.0) as integer) as later,
  count(*) as devices, count(*) as group_size
from began join heard on heard.device = began.device and heard.week >= began.week
group by 1, 2 order by 1, 2`,
    chart: { x: 'later', y: 'devices' },
  },
  {
    name: 'online',
    title: 'Devices online over time',
    meaning: 'How many more devices had come online than had gone by the end of that hour (UTC), by model.',
    needs: ['device.online', 'device.model'],
    sql: `select hour, model, cast(sum(change) over (partition by model order by hour) as bigint) as online,
  cast(sum(change) over (partition by model order by hour) as bigint) as group_size
from (
  select observed_at as hour, model, sum(number * count) as change
  from observation where field = 'device.online' group by 1, 2
) as changes order by 1, 2`,
    chart: { x: 'hour', y: 'online' },
  },
  {
    name: 'commands',
    title: 'Command success rate',
    meaning:
      'Of the answers that devices gave to commands on that day (UTC), the share of SUCCESS, by model.',
    needs: ['command.status', 'device.model'],
    sql: `select cast(date_trunc('day', observed_at) as date) as day, model,
  cast(sum(case when label = 'SUCCESS' then count else 0 end) as bigint) as succeeded,
  cast(sum(count) as bigint) as answers,
  cast(round(cast(sum(case when label = 'SUCCESS' then count else 0 end) as numeric) / cast(sum(count) as numeric), 4) as double precision) as rate,
  cast(sum(count) as bigint) as group_size
from observation where field = 'command.status'
group by 1, 2 order by 1, 2`,
    chart: { x: 'day', y: 'rate' },
  },
  {
    name: 'firmware',
    title: 'Firmware spread',
    meaning: 'Devices that were heard of on that day (UTC), by model and firmware.',
    needs: ['device.active', 'device.model', 'device.firmware', 'device.pseudonym'],
    sql: `select cast(date_trunc('day', observed_at) as date) as day, model, firmware,
  count(distinct device) as devices, count(distinct device) as group_size
from observation where field = 'device.active'
group by 1, 2, 3 order by 1, 2, 3`,
    chart: { x: 'firmware', y: 'devices' },
  },
  {
    name: 'battery',
    title: 'Battery',
    meaning:
      'Battery levels that were reported on that day (UTC), by model, in steps of ten per cent. Matter counts in halves of a per cent.',
    needs: ['PowerSource.BatPercentRemaining', 'device.model'],
    sql: `select cast(date_trunc('day', observed_at) as date) as day, model,
  cast(least(floor(number / 20), 9) * 10 as integer) as percent, cast(sum(count) as bigint) as reports,
  cast(sum(count) as bigint) as group_size
from observation where field = 'PowerSource.BatPercentRemaining'
group by 1, 2, 3 order by 1, 2, 3`,
    chart: { x: 'percent', y: 'reports' },
  },
  {
    name: 'signal',
    title: 'Wi-Fi signal',
    meaning: 'Signal strengths that were reported on that day (UTC), by model, in steps of ten dBm.',
    needs: ['WiFiNetworkDiagnostics.Rssi', 'device.model'],
    sql: `select cast(date_trunc('day', observed_at) as date) as day, model,
  cast(floor(number / 10) * 10 as integer) as dbm, cast(sum(count) as bigint) as reports,
  cast(sum(count) as bigint) as group_size
from observation where field = 'WiFiNetworkDiagnostics.Rssi'
group by 1, 2, 3 order by 1, 2, 3`,
    chart: { x: 'dbm', y: 'reports' },
  },
]
