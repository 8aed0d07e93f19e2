import { counted, httpProbe } from '../http-probe.ts'
import { asksAsPrometheusDoes } from './prometheus.ts'

/** A family of metrics in the text format of Prometheus and OpenMetrics. */
const FAMILY =
  /^# TYPE ([a-zA-Z_:][\w:]*) (?:counter|gauge|histogram|summary|untyped|unknown|info|stateset)$/gm
const SAMPLE = /^[a-zA-Z_:][\w:]*(?:\{[^\n]*\})? [-+]?(?:\d|\.\d|Inf|NaN)/m

/** Names, counts and labels of what runs, to whoever asks; labels hold names of hosts and people's addresses sooner or later. */
export const metrics = httpProbe({
  protocol: 'metrics',
  name: 'Metrics (Prometheus, OpenMetrics)',
  defaultPorts: [9100, 15692],
  firstPath: '/metrics',
  async observe({ first }) {
    if (asksAsPrometheusDoes(first)) return { verdict: 'protected', evidence: 'asks for credentials' }
    const type = first.headers['content-type'] ?? ''
    if (first.status !== 200 || !/^(?:text\/plain|application\/openmetrics-text)\b/.test(type))
      return undefined
    const text = first.body.toString('utf8')
    const families = new Set(Array.from(text.matchAll(FAMILY), ([, name]) => name)).size
    if (families === 0 || !SAMPLE.test(text)) return undefined
    const more = first.truncated ? 'at least ' : ''
    const evidence = `read ${more}${counted(families, 'metric', 'metrics')}`
    return { verdict: 'open', how: 'no-credentials', evidence }
  },
})
