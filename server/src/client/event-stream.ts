/** One server-sent event (WHATWG HTML, section 9.2). */
export interface ServerEvent {
  event: string
  data: string
  id?: string | undefined
  /** When to come back, once the stream has ended. */
  retryMs?: number | undefined
}

const MAX_EVENT_CHARACTERS = 1_048_576

/** Reads text in pieces of any size; gives each event when its empty line has come. */
export function createEventParser(onEvent: (event: ServerEvent) => void): { push(text: string): void } {
  let rest = ''
  let event = ''
  let data: string[] = []
  let id: string | undefined
  let retryMs: number | undefined

  function line(text: string): void {
    if (text === '') {
      if (data.length > 0) onEvent({ event: event || 'message', data: data.join('\n'), id, retryMs })
      event = ''
      data = []
      return
    }
    const at = text.indexOf(':')
    if (at === 0) return
    const field = at < 0 ? text : text.slice(0, at)
    const value = at < 0 ? '' : text.slice(at + 1).replace(/^ /, '')
    if (field === 'event') event = value
    if (field === 'data') data.push(value)
    if (field === 'id') id = value
    if (field === 'retry' && /^\d{1,9}$/.test(value)) retryMs = Number(value)
  }
  return {
    push(text) {
      rest += text
      for (;;) {
        const end = /\r\n|\n|\r(?!$)/.exec(rest)
        if (!end) break
        line(rest.slice(0, end.index))
        rest = rest.slice(end.index + end[0].length)
      }
      if (rest.length > MAX_EVENT_CHARACTERS) throw new Error('an event is too long')
    },
  }
}
