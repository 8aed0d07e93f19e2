import type { DrillReport } from '../face.ts'
import { size, VERDICTS } from './text-report.ts'

/** One page that needs nothing else: to be kept, mailed, printed. */
export function htmlReport(report: DrillReport): string {
  const { control, search, seeded } = report
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Drill: ${text(report.verdict)}</title>
<style>${STYLE}</style>
<main>
<header class="${report.verdict.replace(' ', '-')}">
<p class="when">Drill of ${text(report.where)}, ${text(report.startedAt.slice(0, 16).replace('T', ' '))} UTC</p>
<h1>${text(VERDICTS[report.verdict])}</h1>
</header>
${report.failures.map((failure) => `<p class="failure">${text(failure)}</p>`).join('\n')}
<dl class="figures">
${figure('people named', report.peopleNamed)}
${figure('credentials accepted', report.credentialsAccepted)}
${figure('devices moved', report.devicesMoved)}
${figure('undeclared stores', report.undeclaredStores)}
</dl>
<p>The store that the drill planted to be broken was: ${control.peopleNamed} of ${control.of.people} people named, ${control.credentialsAccepted} of ${control.of.credentials} credentials accepted, ${control.devicesMoved} of ${control.of.devices} devices moved.</p>
<p>${size(search.bytes)} searched for ${search.patterns.toLocaleString('en')} patterns in ${search.seconds.toFixed(1)} s (${Math.round(search.megabytesPerSecond)} MB/s), and ${size(search.unpackedBytes)} that was packed in them. ${seeded.households} marked households with ${seeded.devices} devices and ${seeded.events.toLocaleString('en')} events. ${report.tookSeconds.toFixed(1)} s in all.</p>
<h2>Attacks</h2>
${report.attacks.map(attackSection).join('\n')}
<h2>Stores</h2>
<table><thead><tr><th>Store<th>Found<th class="number">Files<th class="number">Size</thead><tbody>
${report.stores.map((store) => `<tr${store.declared ? '' : ' class="bad"'}><td>${text(store.name)}${store.declared ? '' : ' (undeclared)'}<td>${text(store.found)}<td class="number">${store.files}<td class="number">${size(store.bytes)}`).join('\n')}
</tbody></table>
<h2>What stays visible</h2>
<ul>${report.visible.map((each) => `<li>${text(each)}`).join('\n')}</ul>
</main>
</html>
`
}

function attackSection({ name, tried, notTried, findings, control }: DrillReport['attacks'][number]): string {
  const { planted, missed } = control
  const broken = planted > 0 ? `${planted - missed.length} of ${planted} planted weaknesses found` : ''
  const rows = findings
    .slice(0, 500)
    .map(
      ({ what, whose, how, where }) =>
        `<tr class="bad"><td>${text(what)}<td>${text(whose)}<td>${text(how)}<td>${text(where)}`,
    )
  const table =
    rows.length > 0
      ? `<table><thead><tr><th>What<th>Whose<th>How<th>Where</thead><tbody>${rows.join('\n')}</tbody></table>`
      : ''
  return `<section>
<h3>${text(name)} <span class="${findings.length > 0 ? 'bad' : 'good'}">${findings.length} findings</span> <small>${broken}</small></h3>
<ul>${tried.map((each) => `<li>${text(each)}`).join('\n')}
${notTried.map((each) => `<li class="not">not tried: ${text(each)}`).join('\n')}</ul>
${table}
</section>`
}

function figure(name: string, value: number): string {
  return `<div class="${value > 0 ? 'bad' : 'good'}"><dt>${text(name)}</dt><dd>${value}</dd></div>`
}

function text(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1d1d1f; --paper: #fdfcfa; --soft: #6b6760; --line: #e3dfd8; --good: #1c6b3f; --bad: #b3261e; --card: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #ece9e4; --paper: #171614; --soft: #a39d93; --line: #35322d; --good: #6fcf97; --bad: #ff8a80; --card: #201e1b } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
header { border-left: .4rem solid var(--good); padding-left: 1rem }
header.not-hollow, header.not-proved { border-color: var(--bad) }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .2rem 0 1.5rem }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem } h3 small, .when { color: var(--soft); font-weight: normal }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1.5rem 0 }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem }
.figures dt { color: var(--soft); font-size: .875rem } .figures dd { margin: 0; font-size: 2rem; font-variant-numeric: tabular-nums }
.good, .good dd { color: var(--good) } .bad, .bad dd, .failure { color: var(--bad) } .good dt, .bad dt { color: var(--soft) }
ul { margin: .25rem 0; padding-left: 1.2rem } .not { color: var(--soft) }
table { width: 100%; border-collapse: collapse; font-size: .875rem; margin-top: .5rem; display: block; overflow-x: auto }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
`
