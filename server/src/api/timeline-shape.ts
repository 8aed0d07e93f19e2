import Type from 'typebox'
import type { TimelinePage } from '../home/index.ts'
import { AnyObject, strict, Time, time } from './shapes.ts'

export const PageQuery = strict({
  before: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
})

export const TimelineShape = strict({
  entries: Type.Array(
    strict({
      seq: Type.Integer(),
      at: Time,
      kind: Type.String({ description: 'attributes, events, availability or command' }),
      payload: AnyObject,
    }),
  ),
  next: Type.Optional(Type.Integer({ description: 'Give it as `before` for the page that follows' })),
})

export function showTimeline({ entries, next }: TimelinePage): Type.Static<typeof TimelineShape> {
  return {
    entries: entries.map(({ seq, atMs, kind, payload }) => ({
      seq,
      at: time(atMs),
      kind,
      payload: payload as Record<string, unknown>,
    })),
    ...(next === undefined ? {} : { next }),
  }
}
