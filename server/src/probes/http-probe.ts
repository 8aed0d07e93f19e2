import { type Http, type HttpAnswer, openHttp } from './http.ts'
import type { Observation } from './observation.ts'
import type { Probe } from './probe.ts'
import type { Target } from './target.ts'

export interface HttpProbeOptions extends Omit<Probe, 'run' | 'http' | 'greets'> {
  /** Where it tells its product by; `http.first` is the answer. */
  firstPath: string
  /** Undefined when the product was not recognised. */
  observe(http: Http, target: Target): Promise<Observation | undefined>
}

/** A probe of something that is spoken over HTTP, in clear or in TLS. */
export function httpProbe({ firstPath, observe, ...probe }: HttpProbeOptions): Probe {
  return {
    ...probe,
    http: true,
    async run(target) {
      const http = await openHttp(target, { path: firstPath })
      const { tls } = http.first
      const withTls = (observation: Observation) => ({ ...observation, ...(tls && { tls }) })
      const establish = (observation: Observation) => target.establish(withTls(observation))
      return withTls((await observe(http, { ...target, establish })) ?? somethingElse(http.first))
    },
  }
}

function somethingElse({ status }: HttpAnswer): Observation {
  if (status === 401 || status === 407) {
    return { verdict: 'other', evidence: 'HTTP that asks for credentials, and does not tell what for' }
  }
  if (status >= 300 && status < 400) {
    return { verdict: 'other', evidence: 'HTTP that leads elsewhere; a probe does not follow' }
  }
  return { verdict: 'other', evidence: 'HTTP of something else' }
}

/** Asks for credentials, or does not take those that came. */
export function isRefusal({ status }: HttpAnswer): boolean {
  return status === 401 || status === 403
}

/** The body of an answer of success as an object; anything else has no fields. */
export function fieldsOf(answer: HttpAnswer): Record<string, unknown> {
  return answer.status === 200 ? asRecord(answer.json()) : {}
}

export function asRecord(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {}
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a server calls its version, when it looks like one: a report is no place for what a server likes to say. */
export function versionIn(value: unknown): { version?: string } {
  return typeof value === 'string' && /^v?\d[\w.+~-]{0,39}$/.test(value) ? { version: value } : {}
}

export function countIn(value: unknown): number | undefined {
  const count = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : undefined
}

/** `3 indices`, `1 index`. */
export function counted(count: number, one: string, several: string): string {
  return `${count} ${count === 1 ? one : several}`
}
