import { A_DAY, kind } from './letter-kind.ts'

/** To those whose data stood open. The text is an operator's, filled in for each person: its lines, as JSON. */
export const incidentLetters = {
  incident_notice: kind<'lines'>({
    subject: 'About the safety of your data',
    usefulMinutes: 7 * A_DAY,
    text: ({ lines }) => (JSON.parse(lines) as string[]).join('\n'),
  }),
}
