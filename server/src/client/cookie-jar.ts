/** The cookies of one sign-in at one origin: by name, with their paths (RFC 6265 section 5). Forgotten after it. */
export interface CookieJar {
  take(response: Response): void
  headerFor(url: URL): string | undefined
}

interface Cookie {
  name: string
  value: string
  path: string
}

export function createCookieJar(): CookieJar {
  const cookies = new Map<string, Cookie>()
  return {
    take(response) {
      for (const line of response.headers.getSetCookie()) {
        const cookie = parseCookie(line)
        if (!cookie) continue
        const id = `${cookie.name};${cookie.path}`
        if (cookie.ended) cookies.delete(id)
        else cookies.set(id, cookie)
      }
    },
    headerFor(url) {
      const fitting = [...cookies.values()]
        .filter(({ path }) => pathMatches(url.pathname, path))
        .sort((a, b) => b.path.length - a.path.length)
      return fitting.length > 0 ? fitting.map(({ name, value }) => `${name}=${value}`).join('; ') : undefined
    },
  }
}

function parseCookie(line: string): (Cookie & { ended: boolean }) | undefined {
  const [pair = '', ...attributes] = line.split(';')
  const at = pair.indexOf('=')
  if (at < 1) return undefined
  let path = '/'
  let ended = false
  for (const attribute of attributes) {
    const [name = '', value = ''] = attribute.trim().split(/=(.*)/s, 2)
    if (name.toLowerCase() === 'path' && value.startsWith('/')) path = value
    if (name.toLowerCase() === 'max-age') ended = Number(value) <= 0
    if (name.toLowerCase() === 'expires' && Date.parse(value) <= Date.now()) ended = true
  }
  return { name: pair.slice(0, at).trim(), value: pair.slice(at + 1).trim(), path, ended }
}

function pathMatches(requested: string, path: string): boolean {
  if (requested === path) return true
  return requested.startsWith(path) && (path.endsWith('/') || requested[path.length] === '/')
}
