import type { Finding, FindingKind } from './finding-face.ts'

const SAID: Record<FindingKind, string> = {
  open: 'A store answers strangers: data was read there without a credential',
  changed: 'A store that asked for credentials now answers as something else',
  certificate: 'The certificate of a store does not verify any more',
  door: 'A process of this installation listens where nothing was declared',
  file: 'A file of this installation can be read by every user of its machine',
  stopped: 'The guard has stopped looking: nobody would notice a store that opens now',
  audit: 'The audit log was cut or rewritten',
  canary: 'Somebody has a copy of this store: what stands nowhere else was tried at a door',
}

const STEPS: Record<FindingKind, string[]> = {
  open: [
    'Shut the store, or take it off the network. Do not restart or delete it yet: its own log says who was there.',
    'Keep its log of connections since it was opened.',
  ],
  changed: ['Find out what answers there now, and whether the store is behind it.'],
  certificate: [
    'Compare the certificate with the one that you installed: another one may be somebody in between.',
    'Renew it when it has expired.',
  ],
  door: ['Find the process (ss -ltnp), and end it or declare its door.'],
  file: ['Take the right to read away (chmod o-r), and find out who set it.'],
  stopped: ['Look at the log of the processes, and at their load; restart them.'],
  audit: [
    'hearthlock audit verify says where. Find out who can write to the database, and take that right away.',
    'Was a backup restored? Then see docs/guard.md.',
  ],
  canary: [
    'Was it a drill of yours? Then close it. Otherwise take it that somebody holds a copy, made on the day of planting or later.',
    'Find out who can read the store and its backups, and since when.',
    'hearthlock reset --scope all --quietly --dry-run',
  ],
}

export function whatWasFound({ kind }: Pick<Finding, 'kind'>): string {
  return SAID[kind]
}

/** What to do now, in order; commands to type where there are some. */
export function nextSteps({ findingId, kind, cut, storeKey, state }: Finding): string[] {
  const lookAgain = storeKey.startsWith('own:') || kind === 'stopped' ? [] : ['hearthlock stores probe']
  return [
    `hearthlock findings acknowledge ${findingId}`,
    ...(state === 'open' ? STEPS[kind] : ['It was proved to be over. Find out how it came to be.']),
    ...lookAgain,
    `hearthlock findings close ${findingId}`,
    // Two acts: a feed that was cut does not come back with the finding's end.
    ...cut.map((name) => `hearthlock copy reopen ${name}`),
  ]
}
