import Type from 'typebox'
import type { Notice } from '../identity/index.ts'
import { Id, strict, Time, time } from './shapes.ts'

export const NoticeShape = strict({
  noticeId: Id,
  kind: Type.Union([
    Type.Literal('recovered'),
    Type.Literal('recovery_denied'),
    Type.Literal('session_ended_by_reuse'),
    Type.Literal('address_changed'),
  ]),
  at: Time,
})

export function showNotice({ noticeId, kind, atMs }: Notice): Type.Static<typeof NoticeShape> {
  return { noticeId, kind, at: time(atMs) }
}
