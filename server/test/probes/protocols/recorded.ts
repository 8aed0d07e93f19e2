/**
 * What servers answer that could not be had for these tests: written after their documentation and published transcripts, which
 * `origin` names, and shortened to what a probe looks at. A path that is not listed answers 404.
 */
export interface Recording {
  name: string
  origin: string
  /** Of the probe that is to recognise it. */
  protocol: string
  answers: Record<string, Answer>
  expected: Record<string, unknown>
}

export interface Answer {
  status: number
  headers?: Record<string, string>
  body: string
  /** Instead, to who comes with this user's name and password. */
  as?: { user: string; password: string; body: string }
}

const json = { 'content-type': 'application/json' }
const ok = (value: unknown, headers: Record<string, string> = {}): Answer => ({
  status: 200,
  headers: { ...json, ...headers },
  body: JSON.stringify(value),
})

const CONSOLE = '/api/console/proxy?path=_count&method=GET'
const KIBANA = {
  'kbn-name': 'kibana',
  'kbn-license-sig': 'da420c53321c02b93e5b67b614ccdf37075cab5cc99a13d97fca5727603889d0',
}
const KIBANA_STATUS = {
  name: 'kibana',
  uuid: '5b2de169-2785-441b-ae8c-186a1936b17d',
  version: { number: '8.15.0', build_number: 76360 },
  status: { overall: { level: 'available', summary: 'All services and plugins are available' } },
}
const COUNTED = { count: 2400000, _shards: { total: 5, successful: 5, skipped: 0, failed: 0 } }
const KIBANA_REFUSAL = {
  status: 401,
  headers: { ...KIBANA, ...json },
  body: '{"statusCode":401,"error":"Unauthorized","message":"Unauthorized"}',
}
const DASHBOARDS = { 'osd-name': 'dashboards' }
const DASHBOARDS_REFUSAL = {
  status: 401,
  headers: { ...DASHBOARDS, ...json },
  body: '{"statusCode":401,"error":"Unauthorized","message":"Authentication required"}',
}

const ELASTIC_REFUSAL = (path: string) => ({
  status: 401,
  headers: {
    ...json,
    'www-authenticate': 'Basic realm="security" charset="UTF-8", Bearer realm="security", ApiKey',
    'x-elastic-product': 'Elasticsearch',
  },
  body: JSON.stringify({
    error: {
      type: 'security_exception',
      reason: `missing authentication credentials for REST request [${path}]`,
    },
    status: 401,
  }),
})
const ELASTIC_ROOT = {
  name: 'instance-0000000001',
  cluster_name: 'logs',
  version: { number: '8.9.1', build_flavor: 'default', lucene_version: '9.7.0' },
  tagline: 'You Know, for Search',
}

const INFLUX_2 = { 'x-influxdb-build': 'OSS', 'x-influxdb-version': 'v2.7.11' }
const INFLUX_2_REFUSAL = {
  status: 401,
  headers: { ...json, 'x-platform-error-code': 'unauthorized' },
  body: '{"code":"unauthorized","message":"unauthorized access"}',
}

const COUCH_ROOT = ok(
  {
    couchdb: 'Welcome',
    version: '3.4.2',
    git_sha: '6e5ad2a5c',
    uuid: '9ddf59457dbb8772316cf06fc5e5a2e4',
    features: ['access-ready', 'partitioned', 'pluggable-storage-engines', 'reshard', 'scheduler'],
    vendor: { name: 'The Apache Software Foundation' },
  },
  { server: 'CouchDB/3.4.2 (Erlang OTP/25)' },
)
const COUCH_REFUSAL = {
  status: 401,
  headers: { ...json, server: 'CouchDB/3.4.2 (Erlang OTP/25)' },
  body: '{"error":"unauthorized","reason":"You are not a server admin."}',
}

const ACTUATOR = { 'content-type': 'application/vnd.spring-boot.actuator.v3+json' }
const links = (...names: string[]) =>
  Object.fromEntries(
    names.map((name) => [name, { href: `http://localhost:8080/actuator/${name}`, templated: false }]),
  )

const MINIO = { 'content-type': 'application/xml', server: 'MinIO/RELEASE.2020-07-13T18-09-56Z' }
const MINIO_REFUSAL =
  '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied.</Message><Resource>/</Resource><RequestId>162D4D3EB36C346A</RequestId><HostId>80573ba3-1dc1-480e-b4a9-26596b554067</HostId></Error>'

export const recordings: readonly Recording[] = [
  {
    name: 'Elasticsearch with its own security',
    origin:
      'elastic.co, REST API error of 8.x; github.com/elastic/elasticsearch, x-pack/plugin/security (headers)',
    protocol: 'elasticsearch',
    answers: { '/': ELASTIC_REFUSAL('/'), '/*,-.*/_count': ELASTIC_REFUSAL('/*,-.*/_count') },
    expected: { verdict: 'protected', product: 'Elasticsearch', evidence: 'asks for credentials' },
  },
  {
    name: 'Elasticsearch with an anonymous user',
    origin:
      'elastic.co, "Enabling anonymous access" and "Authenticate API" of 8.x; root from github.com/elastic/kibana/issues/167590',
    protocol: 'elasticsearch',
    answers: {
      '/': ok(ELASTIC_ROOT),
      '/*,-.*/_count': ok(COUNTED),
      '/_cat/indices?h=index': {
        status: 200,
        headers: { 'content-type': 'text/plain; charset=UTF-8' },
        body: 'logs-1\nlogs-2\n',
      },
      '/_security/_authenticate': ok({
        username: '_anonymous',
        roles: ['viewer'],
        authentication_type: 'anonymous',
      }),
    },
    expected: {
      ...{ verdict: 'open', how: 'anonymous-role', product: 'Elasticsearch', version: '8.9.1' },
      evidence: 'counted 2400000 documents in 2 indices',
    },
  },
  {
    name: 'Elasticsearch with the password of its early years',
    origin: 'elastic.co, "Getting started with X-Pack" of 5.x (elastic, changeme)',
    protocol: 'elasticsearch',
    answers: {
      '/': ELASTIC_REFUSAL('/'),
      '/*,-.*/_count': {
        ...ELASTIC_REFUSAL('/*,-.*/_count'),
        as: { user: 'elastic', password: 'changeme', body: JSON.stringify(COUNTED) },
      },
    },
    expected: { verdict: 'open', how: 'default-password', product: 'Elasticsearch' },
  },
  {
    name: 'Kibana without security',
    origin:
      'elastic.co, "Kibana APIs: status" of 8.x; headers from transcripts of 7.17 and 8.15; console proxy from github.com/sherifabdlnaby/rubban/pull/5',
    protocol: 'kibana',
    answers: { '/api/status': ok(KIBANA_STATUS, KIBANA), [CONSOLE]: ok(COUNTED, KIBANA) },
    expected: {
      ...{ verdict: 'open', how: 'no-credentials', product: 'Kibana', version: '8.15.0' },
      evidence: 'counted 2400000 documents of the cluster behind it',
    },
  },
  {
    name: 'Kibana without a console',
    origin: 'elastic.co, "Saved objects APIs: find" of 7.17',
    protocol: 'kibana',
    answers: {
      '/api/status': ok(KIBANA_STATUS, KIBANA),
      '/api/saved_objects/_find?type=index-pattern&per_page=1&fields=type': ok(
        { page: 1, per_page: 1, total: 3, saved_objects: [{ type: 'index-pattern', id: 'ff959d40' }] },
        KIBANA,
      ),
    },
    expected: { verdict: 'open', evidence: 'counted 3 index patterns', product: 'Kibana' },
  },
  {
    name: 'Kibana that asks for a sign-in',
    origin:
      'elastic.co, "Kibana APIs: status" of 8.x ("a minimal response is sent for unauthorized users"); headers from transcripts of 8.15',
    protocol: 'kibana',
    answers: {
      '/api/status': ok({ status: { overall: { level: 'available' } } }, KIBANA),
      [CONSOLE]: KIBANA_REFUSAL,
    },
    expected: { verdict: 'protected', product: 'Kibana', evidence: 'asks for credentials' },
  },
  {
    name: 'OpenSearch Dashboards with the password of its demonstration',
    origin:
      'docs.opensearch.org 2.x, "Rolling upgrade lab" (headers of Dashboards 2.5) and "Demo configuration" (admin, admin)',
    protocol: 'kibana',
    answers: {
      '/api/status': DASHBOARDS_REFUSAL,
      [CONSOLE]: {
        ...DASHBOARDS_REFUSAL,
        as: { user: 'admin', password: 'admin', body: JSON.stringify(COUNTED) },
      },
    },
    expected: { verdict: 'open', how: 'default-password', product: 'OpenSearch Dashboards' },
  },
  {
    name: 'OpenSearch Dashboards that asks for a sign-in',
    origin: 'a published scan of Wazuh 4.9, whose console it is (401 with osd-name)',
    protocol: 'kibana',
    answers: { '/api/status': DASHBOARDS_REFUSAL, [CONSOLE]: DASHBOARDS_REFUSAL },
    expected: { verdict: 'protected', product: 'OpenSearch Dashboards' },
  },
  {
    name: 'InfluxDB 2 that has been set up',
    origin: 'docs.influxdata.com, InfluxDB OSS v2 API; github.com/influxdata/influxdb/issues/20859 (401)',
    protocol: 'influxdb',
    answers: {
      '/ping': { status: 204, headers: INFLUX_2, body: '' },
      '/api/v2/buckets?limit=1': INFLUX_2_REFUSAL,
      '/api/v2/setup': ok({ allowed: false }),
    },
    expected: { verdict: 'protected', product: 'InfluxDB', version: 'v2.7.11' },
  },
  {
    name: 'InfluxDB 2 that nobody has set up',
    origin: 'docs.influxdata.com, InfluxDB OSS v2 API, "Setup"',
    protocol: 'influxdb',
    answers: {
      '/ping': { status: 204, headers: INFLUX_2, body: '' },
      '/api/v2/buckets?limit=1': INFLUX_2_REFUSAL,
      '/api/v2/setup': ok({ allowed: true }),
    },
    expected: { verdict: 'open', evidence: 'has not been set up: whoever comes first owns it' },
  },
  {
    name: 'InfluxDB 3 without authorization',
    origin: 'docs.influxdata.com, InfluxDB 3 Core API, "List databases" and "Ping"',
    protocol: 'influxdb',
    answers: {
      '/ping': ok({ version: '3.0.2' }, { 'x-influxdb-version': '3.0.2' }),
      '/api/v3/configure/database?format=json': ok([
        { 'iox::database': '_internal' },
        { 'iox::database': 'homes' },
      ]),
    },
    expected: { verdict: 'open', evidence: 'counted 2 databases', version: '3.0.2' },
  },
  {
    name: 'CouchDB as it is installed',
    origin: 'docs.couchdb.org 3.4, "Server: /"; github.com/apache/couchdb/issues/2995 (401)',
    protocol: 'couchdb',
    answers: { '/': COUCH_ROOT, '/_all_dbs': COUCH_REFUSAL },
    expected: { verdict: 'protected', product: 'CouchDB', version: '3.4.2' },
  },
  {
    name: 'CouchDB where everybody is an administrator',
    origin: 'docs.couchdb.org, "Server: /_all_dbs" and "Security: The Admin Party" of 2.x',
    protocol: 'couchdb',
    answers: {
      '/': COUCH_ROOT,
      '/_all_dbs': ok(['_users', 'contacts', 'docs', 'invoices', 'locations']),
      '/_session': ok({
        ok: true,
        userCtx: { name: null, roles: ['_admin'] },
        info: { authenticated: 'default' },
      }),
    },
    expected: { verdict: 'open', evidence: 'counted 5 databases; everybody is an administrator' },
  },
  {
    name: "CouchDB by a tutorial's password",
    origin: 'docs.couchdb.org 3.4, "Server: /_all_dbs"; the image couchdb on Docker Hub (admin, password)',
    protocol: 'couchdb',
    answers: {
      '/': COUCH_ROOT,
      '/_all_dbs': {
        ...COUCH_REFUSAL,
        as: { user: 'admin', password: 'password', body: '["_users","homes"]' },
      },
    },
    expected: {
      verdict: 'open',
      how: 'default-password',
      evidence: 'counted 2 databases as admin with a default password',
    },
  },
  {
    name: 'CouchDB that asks before it says what it is',
    origin: 'docs.couchdb.org 3.4, "require_valid_user"',
    protocol: 'couchdb',
    answers: {
      '/': { ...COUCH_REFUSAL, body: '{"error":"unauthorized","reason":"Authentication required."}' },
    },
    expected: { verdict: 'protected', product: 'CouchDB' },
  },
  {
    name: 'Spring Boot that offers its configuration and its memory',
    origin:
      'docs.spring.io, Spring Boot 3.5, Actuator REST API, "Environment"; links from a published transcript',
    protocol: 'spring-actuator',
    answers: {
      '/actuator': {
        status: 200,
        headers: ACTUATOR,
        body: JSON.stringify({ _links: links('self', 'env', 'health', 'heapdump') }),
      },
      '/actuator/env/java.version': {
        status: 200,
        headers: ACTUATOR,
        body: JSON.stringify({
          property: { source: 'systemProperties', value: '17' },
          activeProfiles: [],
          defaultProfiles: ['default'],
          propertySources: [
            { name: 'servletContextInitParams' },
            { name: 'systemProperties', property: { value: '17' } },
          ],
        }),
      },
    },
    expected: { verdict: 'open', evidence: 'read 2 sources of its configuration; offers env, heapdump' },
  },
  {
    name: 'Spring Boot as it comes',
    origin: 'docs.spring.io, Spring Boot 3.5, "Exposing Endpoints": health alone',
    protocol: 'spring-actuator',
    answers: {
      '/actuator': {
        status: 200,
        headers: ACTUATOR,
        body: JSON.stringify({ _links: links('self', 'health', 'health-path') }),
      },
    },
    expected: { verdict: 'other', product: 'Spring Boot Actuator' },
  },
  {
    name: 'Jolokia whose policy lets nothing be read',
    origin: 'jolokia.org 2.x, "Jolokia protocol" (responses and their status) and "Security policy"',
    protocol: 'jolokia',
    answers: {
      '/jolokia/version': ok({
        request: { type: 'version' },
        value: { agent: '2.1.2', protocol: '8.0' },
        status: 200,
      }),
      '/jolokia/read/java.lang:type=Runtime/Uptime': ok({
        error_type: 'java.lang.Exception',
        error: 'java.lang.Exception : Reading attribute Uptime is forbidden for MBean java.lang:type=Runtime',
        status: 403,
      }),
    },
    expected: { verdict: 'protected', product: 'Jolokia', version: '2.1.2' },
  },
  {
    name: 'MinIO that asks for a key',
    origin: 'github.com/minio/minio/issues/10322 (2020) and 15729 (2022)',
    protocol: 's3',
    answers: { '/': { status: 403, headers: MINIO, body: MINIO_REFUSAL } },
    expected: { verdict: 'protected', product: 'MinIO', evidence: 'asks for credentials' },
  },
  {
    name: 'a bucket that lists its objects',
    origin: 'docs.aws.amazon.com, Amazon S3 API Reference, "ListObjectsV2"',
    protocol: 's3',
    answers: {
      '/': {
        status: 200,
        headers: { 'content-type': 'application/xml', server: 'AmazonS3' },
        body: '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>recordings</Name><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated><Contents><Key>a.mp4</Key></Contents><Contents><Key>b.mp4</Key></Contents></ListBucketResult>',
      },
    },
    expected: { verdict: 'open', evidence: 'listed at least 2 objects' },
  },
]
