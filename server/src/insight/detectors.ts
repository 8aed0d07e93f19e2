/**
 * The second line: words that leave are the maker's own (names of models, versions, choices), and whoever writes a model can
 * put anything there. What looks like a person's or like a credential does not leave.
 */
export type Detect = (text: string) => boolean

const MAX_TEXT = 64
const PATTERNS = [
  // e-mail addresses, and what is left of them when somebody has hidden the sign
  /[^\s@]@[^\s@]/,
  /(^|\s)(at|\(at\)|\[at\])\s+\S+\s+(dot|\(dot\)|\[dot\])/i,
  // IPv4, IPv6, MAC
  /\b\d{1,3}(\.\d{1,3}){3}\b/,
  /\b([0-9a-f]{1,4}:){2,}/i,
  /::/,
  /\b([0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b/i,
  // seven digits and more, however they are grouped: telephone numbers, serials, coordinates
  /(\d[\s().+/-]*){7}/,
  /[-+]?\d{1,3}\.\d{4,}\s*[,;/]\s*[-+]?\d{1,3}\.\d{4,}/,
  // UUIDs and other ids, keys, tokens: long runs that nobody reads out
  /[0-9a-f]{8}-[0-9a-f]{4}-/i,
  /[A-Za-z0-9+/_=-]{20,}/,
  /\beyJ[A-Za-z0-9_-]{4,}/,
  // streets and postal codes in the usual forms
  /\b\d{1,5}\s+[A-Z][a-z]+\s+(street|st|road|rd|avenue|ave|lane|ln|drive|dr|way)\b/i,
  /(stra(ß|ss)e|str\.|weg|platz)\s*\d/i,
  /\b[A-Z]{1,2}\d[A-Z\d]?\s*\d[A-Z]{2}\b/,
]

export const looksPersonal: Detect = (text) =>
  text.length > MAX_TEXT || PATTERNS.some((pattern) => pattern.test(text))
