/** Which room may import which: the arrows of docs/architecture.md, and nothing else. */
const arrows = {
  core: [],
  probes: ['core'],
  embedded: ['core'],
  keys: ['core'],
  vault: ['core', 'keys'],
  mail: ['core', 'keys', 'vault'],
  identity: ['core', 'keys', 'vault'],
  registry: ['core', 'keys'],
  stream: ['core', 'keys'],
  gateway: ['core', 'registry', 'stream'],
  home: ['core', 'keys', 'registry', 'stream'],
  guard: ['core', 'keys', 'probes'],
  insight: ['core', 'keys', 'registry', 'stream', 'probes'],
  privacy: ['core', 'identity', 'mail', 'vault', 'registry', 'home'],
  api: [
    'core',
    'guard',
    'insight',
    'privacy',
    'keys',
    'vault',
    'mail',
    'identity',
    'registry',
    'stream',
    'gateway',
    'home',
  ],
  client: ['core'],
  simulator: ['core'],
  drill: ['core', 'keys', 'client', 'simulator'],
  cli: ['core', 'client', 'drill', 'simulator', 'probes', 'main'],
  main: ['.*'],
}

const forbidden = [
  { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
  {
    name: 'face-only',
    comment: 'Another room is entered by its face, index.ts, and nothing deeper.',
    severity: 'error',
    from: { path: '^src/([^/]+)/' },
    to: { path: '^src/([^/]+)/.+', pathNot: ['^src/$1/', '^src/[^/]+/index\\.ts$'] },
  },
  ...Object.entries(arrows)
    .filter(([, allowed]) => !allowed.includes('.*'))
    .map(([room, allowed]) => ({
      name: `arrow-${room}`,
      comment: `${room} may import: ${allowed.join(', ') || 'nothing'}`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: `^src/(${[room, ...allowed].join('|')})/` },
    })),
  {
    name: 'known-room',
    comment: 'Every file lives in a room that has its arrows written down.',
    severity: 'error',
    from: {},
    to: { path: '^src/', pathNot: `^src/(${Object.keys(arrows).join('|')})/` },
  },
  { name: 'unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
]

module.exports = {
  forbidden,
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
}
