/**
 * Drafts of what has to be told to authorities, and of what people have to be told: the content that the law names, filled with
 * what is known. What is not known is asked for, never made up.
 *
 * Sources: Regulation (EU) 2016/679 (GDPR), articles 33(1), 33(3), 34(2); Regulation (EU) 2024/2847 (Cyber Resilience Act),
 * article 14(3) and (4), which speaks of severe incidents.
 */
export const reportKinds = ['gdpr-33', 'gdpr-34', 'cra-24h', 'cra-72h', 'cra-final'] as const
export type ReportKind = (typeof reportKinds)[number]

/** What Hearthlock knows of an incident. Counts, names of fields and times; nobody's data. */
export interface IncidentFacts {
  /** Of the store that stood open, and what is in it. */
  store: { name: string; holds: string }
  /** When the exposure became known here: the deadlines run from it. */
  awareAtMs: number
  /** Between these moments the store may have been read; an absent end is not over yet. */
  exposedFromMs?: number | undefined
  exposedUntilMs?: number | undefined
  /** What a stranger could read, as counts and kinds. */
  evidence?: string | undefined
  /** Absent until somebody has made the affected list. */
  affected?: { people: number; households: number; devices: number; fields: readonly string[] } | undefined
  /** What was done, in order. */
  measures: readonly { atMs: number; what: string }[]
  /** Letters to the people affected. */
  notices?: { sent: number; waiting: number } | undefined
}

export interface ReportSection {
  heading: string
  /** The provision that asks for it. */
  source: string
  known: string[]
  /** For a person to fill in. */
  missing: string[]
}

export interface RegulatorReport {
  kind: ReportKind
  title: string
  /** Whom it goes to. */
  to: string
  /** Absent where the law counts from something that is not known here; `due` says it in words. */
  dueAtMs?: number
  due: string
  sections: ReportSection[]
}

const HOUR_MS = 3_600_000

export function draftReport(kind: ReportKind, facts: IncidentFacts): RegulatorReport {
  return { kind, ...drafts[kind](facts) }
}

export function reportMarkdown(report: RegulatorReport): string {
  const lines = [
    `# ${report.title}`,
    '',
    'DRAFT. Filled with what is known; complete what is marked, and have it checked before it is sent.',
    '',
    `- To: ${report.to}`,
    `- Due: ${report.due}`,
  ]
  for (const { heading, source, known, missing } of report.sections) {
    lines.push('', `## ${heading}`, `_${source}_`, '')
    lines.push(...known.map((line) => `- ${line}`), ...missing.map((line) => `- [ ] **To fill in:** ${line}`))
  }
  return `${lines.join('\n')}\n`
}

type Draft = Omit<RegulatorReport, 'kind'>

const drafts: Record<ReportKind, (facts: IncidentFacts) => Draft> = {
  'gdpr-33': (facts) => ({
    title: 'Notification of a personal data breach to the supervisory authority',
    to: 'the supervisory authority that is competent for you (GDPR, article 55)',
    ...within(facts, 72, 'GDPR, article 33(1); later only with the reasons for the delay'),
    sections: [
      nature(facts, 'GDPR, article 33(3)(a)'),
      contact('GDPR, article 33(3)(b)'),
      consequences(facts, 'GDPR, article 33(3)(c)'),
      measures(facts, 'GDPR, article 33(3)(d)'),
    ],
  }),

  'gdpr-34': (facts) => ({
    title: 'Communication of a personal data breach to the people affected',
    to: 'each person affected, in clear and plain language; the letters are drafted with `hearthlock notices`',
    due: 'without undue delay, where the risk to people is likely to be high (GDPR, article 34(1))',
    sections: [
      nature(facts, 'GDPR, article 34(2)'),
      contact('GDPR, article 34(2) with 33(3)(b)'),
      consequences(facts, 'GDPR, article 34(2) with 33(3)(c)'),
      measures(facts, 'GDPR, article 34(2) with 33(3)(d)'),
    ],
  }),

  'cra-24h': (facts) => ({
    title: 'Early warning of a severe incident',
    to: CSIRT,
    ...within(facts, 24, 'CRA, article 14(4)(a)'),
    sections: [
      {
        heading: 'Suspected cause',
        source: 'CRA, article 14(4)(a)',
        known: [became(facts)],
        missing: ['whether unlawful or malicious acts are suspected'],
      },
      memberStates('CRA, article 14(4)(a)'),
    ],
  }),

  'cra-72h': (facts) => ({
    title: 'Notification of a severe incident',
    to: CSIRT,
    ...within(facts, 72, 'CRA, article 14(4)(b)'),
    sections: [
      nature(facts, 'CRA, article 14(4)(b): nature of the incident'),
      {
        heading: 'Initial assessment',
        source: 'CRA, article 14(4)(b)',
        known: reach(facts),
        missing: ['how severe it is: what could be done with what was exposed'],
      },
      measures(facts, 'CRA, article 14(4)(b): corrective or mitigating measures taken'),
      {
        heading: 'What users can do',
        source: 'CRA, article 14(4)(b)',
        known: [],
        missing: ['measures that users can take themselves, or that none are needed'],
      },
      {
        heading: 'Sensitivity',
        source: 'CRA, article 14(4)(b)',
        known: [],
        missing: ['how sensitive you consider this information'],
      },
    ],
  }),

  'cra-final': (facts) => ({
    title: 'Final report on a severe incident',
    to: CSIRT,
    due: 'within one month of submitting the 72-hour notification (CRA, article 14(4)(c))',
    sections: [
      {
        ...nature(facts, 'CRA, article 14(4)(c)(i): description, severity and impact'),
        missing: [...nature(facts, '').missing, 'its severity and impact, as they are now known'],
      },
      {
        heading: 'Threat or root cause',
        source: 'CRA, article 14(4)(c)(ii)',
        known: [],
        missing: ['the type of threat or root cause that is likely to have led to it'],
      },
      measures(facts, 'CRA, article 14(4)(c)(iii): applied and ongoing mitigation'),
    ],
  }),
}

const CSIRT =
  'the CSIRT that coordinates for the Member State of your main establishment, and ENISA, by the single reporting platform (CRA, article 14(7))'

function within(facts: IncidentFacts, hours: number, source: string): Pick<Draft, 'due' | 'dueAtMs'> {
  const dueAtMs = facts.awareAtMs + hours * HOUR_MS
  return {
    dueAtMs,
    due: `${utc(dueAtMs)}, ${hours} hours after it became known here at ${utc(facts.awareAtMs)} (${source})`,
  }
}

function nature(facts: IncidentFacts, source: string): ReportSection {
  const { exposedFromMs, exposedUntilMs } = facts
  const known = [`${facts.store.name}: ${facts.store.holds}.`, became(facts)]
  if (facts.evidence) known.push(`Read there without a credential: ${facts.evidence}`)
  if (exposedFromMs !== undefined) known.push(`Open from ${utc(exposedFromMs)} at the earliest.`)
  if (exposedUntilMs !== undefined) known.push(`Shut by ${utc(exposedUntilMs)} at the latest.`)
  return {
    heading: 'What happened, and whom it concerns',
    source,
    known: [...known, ...reach(facts)],
    missing: [
      ...(exposedFromMs === undefined ? ['since when the store may have stood open'] : []),
      ...(exposedUntilMs === undefined ? ['until when it stood open: no proof yet that it is shut'] : []),
      ...(facts.affected ? [] : ['whom it concerns: `hearthlock affected` makes the list']),
      'whether anybody read it: see the logs of the store',
    ],
  }
}

/** GDPR asks for approximate numbers; these are exact for what the ledger and the registry hold. */
function reach({ affected }: IncidentFacts): string[] {
  if (!affected) return []
  const { people, households, devices, fields } = affected
  return [
    `People: ${people}, in ${households} households. Devices: ${devices}.`,
    fields.length > 0 ? `Kinds of data: ${fields.join(', ')}.` : 'No field of theirs was in it.',
  ]
}

function became({ awareAtMs }: IncidentFacts): string {
  return `It became known here at ${utc(awareAtMs)}.`
}

function contact(source: string): ReportSection {
  return {
    heading: 'Contact',
    source,
    known: [],
    missing: ['name and contact details of the data protection officer, or of another contact'],
  }
}

function consequences(facts: IncidentFacts, source: string): ReportSection {
  return {
    heading: 'Likely consequences',
    source,
    known: facts.affected?.fields.length === 0 ? ['No field about a person was in the store.'] : [],
    missing: ['the likely consequences for the people concerned'],
  }
}

function measures(facts: IncidentFacts, source: string): ReportSection {
  const known = facts.measures.map(({ atMs, what }) => `${utc(atMs)}: ${what}`)
  if (facts.notices) {
    known.push(`Letters to people: ${facts.notices.sent} sent, ${facts.notices.waiting} waiting.`)
  }
  return {
    heading: 'Measures taken and proposed',
    source,
    known,
    missing: ['what else is proposed, also to soften the consequences'],
  }
}

function memberStates(source: string): ReportSection {
  return {
    heading: 'Member States',
    source,
    known: [],
    missing: ['the Member States in which the product has been made available, as far as you know'],
  }
}

/** Deadlines are counted in hours across borders: in UTC, to the minute. */
function utc(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
