import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createEventParser, type ServerEvent } from '../../src/client/event-stream.ts'

function parse(...pieces: string[]): ServerEvent[] {
  const events: ServerEvent[] = []
  const parser = createEventParser((event) => events.push(event))
  for (const piece of pieces) parser.push(piece)
  return events
}

describe('server-sent events', () => {
  it('reads names, ids and data over several lines', () => {
    expect(parse('event: update\nid: 7\ndata: one\ndata: two\n\n')).toEqual([
      { event: 'update', id: '7', data: 'one\ntwo' },
    ])
  })

  it('passes over comments, unknown fields and events without data', () => {
    expect(parse(': heartbeat\n\nretry: 5\n\nevent: empty\n\ndata: x\n\n')).toEqual([
      { event: 'message', id: undefined, data: 'x', retryMs: 5 },
    ])
  })

  it('gives nothing before the empty line has come', () => {
    expect(parse('data: half')).toEqual([])
    expect(parse('data: half\n')).toEqual([])
  })

  it('reads the same events however the text was cut, with any line ends', () => {
    const events = fc.array(
      fc.record({ event: fc.stringMatching(/^[a-z]{1,8}$/), data: fc.stringMatching(/^[ -~]{1,20}$/) }),
      { maxLength: 5 },
    )
    fc.assert(
      fc.property(
        events,
        fc.constantFrom('\n', '\r\n'),
        fc.array(fc.nat(40), { maxLength: 30 }),
        (sent, end, cuts) => {
          const text = sent
            .map(({ event, data }) => `event: ${event}${end}data: ${data}${end}${end}`)
            .join('')
          const pieces: string[] = []
          let rest = text
          for (const cut of cuts) {
            pieces.push(rest.slice(0, cut))
            rest = rest.slice(cut)
          }
          const read = parse(...pieces, rest).map(({ event, data }) => ({ event, data }))
          expect(read).toEqual(sent)
        },
      ),
    )
  })

  it('refuses to gather an event without end', () => {
    const parser = createEventParser(() => {})
    expect(() => parser.push(`data: ${'x'.repeat(2_000_000)}`)).toThrow(/too long/)
  })
})
