import { asRecord, countIn, fieldsOf, httpProbe } from '../http-probe.ts'

const PROFILES = 'offers profiles of its memory'

/** Profiles hold a program's memory and command line. Their index is read, and no profile. */
export const goDebug = httpProbe({
  protocol: 'go-debug',
  aliases: ['pprof', 'expvar'],
  name: 'Go debug pages (pprof, expvar)',
  defaultPorts: [6060],
  firstPath: '/debug/pprof/',
  async observe(http, target) {
    const { first } = http
    const page = first.body.toString('utf8')
    const profiles = ['goroutine', 'heap', 'profile'].every((name) => page.includes(`>${name}</a>`))
    const isIndex = first.status === 200 && page.includes('/debug/pprof/') && profiles
    const open = { verdict: 'open', how: 'no-credentials', product: 'Go program' } as const
    if (isIndex) target.establish({ ...open, evidence: PROFILES })
    const variables = fieldsOf(await http.request({ path: '/debug/vars' }))
    const { Alloc: allocated } = asRecord(variables.memstats)
    const hasVariables = Array.isArray(variables.cmdline) && countIn(allocated) !== undefined
    if (!isIndex && !hasVariables) return undefined
    const read = [...(isIndex ? [PROFILES] : []), ...(hasVariables ? ['read its variables'] : [])]
    return { ...open, evidence: read.join(', ') }
  },
})
