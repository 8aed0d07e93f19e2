import { describe, expect, test } from 'vitest'
import {
  draftReport,
  type IncidentFacts,
  reportKinds,
  reportMarkdown,
} from '../../src/guard/regulator-report.ts'

const aware = Date.UTC(2026, 0, 30, 22, 15)
const least: IncidentFacts = {
  store: { name: 'metrics-2026', holds: 'a copy for metrics, under pseudonyms' },
  awareAtMs: aware,
  measures: [],
}
const most: IncidentFacts = {
  ...least,
  exposedFromMs: aware - 3 * 3_600_000,
  exposedUntilMs: aware + 600_000,
  evidence: '3 tables, 1 row read',
  affected: { people: 7, households: 3, devices: 11, fields: ['device.model', 'BooleanState.StateValue'] },
  measures: [{ atMs: aware + 4_000, what: 'the feed was cut' }],
  notices: { sent: 5, waiting: 2 },
}

describe('drafts for authorities', () => {
  test('deadlines count from when it became known, over the end of a month', () => {
    expect(draftReport('gdpr-33', least).dueAtMs).toBe(Date.UTC(2026, 1, 2, 22, 15))
    expect(draftReport('cra-24h', least).dueAtMs).toBe(Date.UTC(2026, 0, 31, 22, 15))
    expect(draftReport('cra-72h', least).due).toContain('2026-02-02 22:15 UTC, 72 hours after')
  })

  test('a deadline that counts from something unknown is said in words, not as a time', () => {
    expect(draftReport('cra-final', most)).not.toHaveProperty('dueAtMs')
    expect(draftReport('cra-final', most).due).toContain('one month of submitting')
  })

  test.each(reportKinds)('%s: what is not known is asked for, never made up', (kind) => {
    const text = reportMarkdown(draftReport(kind, least))
    expect(text).toContain('To fill in')
    expect(text).not.toMatch(/undefined|NaN|People: /)
  })

  test('what the ledger and the audit log know is in the notification, and asked for no more', () => {
    const text = reportMarkdown(draftReport('gdpr-33', most))
    expect(text).toContain('People: 7, in 3 households. Devices: 11.')
    expect(text).toContain('Kinds of data: device.model, BooleanState.StateValue')
    expect(text).toContain('2026-01-30 22:15 UTC: the feed was cut')
    expect(text).toContain('Open from 2026-01-30 19:15 UTC')
    expect(text).toContain('5 sent, 2 waiting')
    expect(text).not.toMatch(/since when|until when|hearthlock affected/)
  })

  test.each([
    ['gdpr-33', ['33(3)(a)', '33(3)(b)', '33(3)(c)', '33(3)(d)']],
    ['gdpr-34', ['34(2)', '33(3)(b)', '33(3)(c)', '33(3)(d)']],
    ['cra-24h', ['14(4)(a)']],
    ['cra-72h', ['14(4)(b)']],
    ['cra-final', ['14(4)(c)(i)', '14(4)(c)(ii)', '14(4)(c)(iii)']],
  ] as const)('%s has a section for each thing that its article asks for', (kind, articles) => {
    const sources = draftReport(kind, most).sections.map(({ source }) => source)
    for (const article of articles) expect(sources.some((source) => source.includes(article))).toBe(true)
  })
})
