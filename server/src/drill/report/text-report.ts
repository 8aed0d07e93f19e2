import type { DrillReport } from '../face.ts'

const MAX_FINDINGS = 20

/** For a terminal: the answer first, then what it stands on. */
export function textReport(report: DrillReport): string {
  const { control, search, stores } = report
  const lines = [
    VERDICTS[report.verdict],
    '',
    `  people named           ${report.peopleNamed}`,
    `  credentials accepted   ${report.credentialsAccepted}`,
    `  devices moved          ${report.devicesMoved}`,
    `  undeclared stores      ${report.undeclaredStores}`,
    '',
    `  The planted store was broken: ${control.peopleNamed} of ${control.of.people} people named, ${control.credentialsAccepted} of ${control.of.credentials} credentials accepted, ${control.devicesMoved} of ${control.of.devices} devices moved.`,
    ...report.failures.map((failure) => `  The drill has failed: ${failure}`),
    '',
    `Searched ${size(search.bytes)} for ${search.patterns.toLocaleString('en')} patterns in ${search.seconds.toFixed(1)} s (${Math.round(search.megabytesPerSecond)} MB/s), and ${size(search.unpackedBytes)} that was packed in them.`,
    '',
    'Stores',
    ...stores.map(
      (store) =>
        `  ${store.declared ? ' ' : '!'} ${store.name}: ${store.files} files, ${size(store.bytes)} (${store.found})`,
    ),
    '',
  ]
  for (const attack of report.attacks) {
    const { planted, missed } = attack.control
    const broken = planted > 0 ? `; ${planted - missed.length} of ${planted} planted weaknesses found` : ''
    lines.push(`${attack.name}: ${attack.findings.length} findings${broken}`)
    for (const tried of attack.tried) lines.push(`    ${tried}`)
    for (const not of attack.notTried) lines.push(`    not tried: ${not}`)
    for (const { whose, what, how, where } of attack.findings.slice(0, MAX_FINDINGS)) {
      lines.push(`  ! ${what} of ${whose} (${how}): ${where}`)
    }
    if (attack.findings.length > MAX_FINDINGS)
      lines.push(`  ! and ${attack.findings.length - MAX_FINDINGS} more; --json has all`)
  }
  if (report.visible.length > 0)
    lines.push('', 'What stays visible', ...report.visible.map((each) => `  ${each}`))
  const { households, devices, events } = report.seeded
  lines.push(
    '',
    `On ${report.where}, with ${households} marked households, ${devices} devices and ${events.toLocaleString('en')} events; ${report.tookSeconds.toFixed(1)} s.`,
  )
  return lines.join('\n')
}

export const VERDICTS = {
  hollow: 'Hollow: a stolen copy names nobody, and opens and moves nothing.',
  'not hollow': 'NOT hollow: a thief of the copy gets what is listed below.',
  'not proved': 'Not proved: the drill itself has failed, so it says nothing about the copy.',
} as const

export function size(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`
  return `${Math.ceil(bytes / 1e3)} kB`
}
