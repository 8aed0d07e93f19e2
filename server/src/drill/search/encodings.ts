/** One way in which a value can stand in bytes. */
export interface Pattern {
  bytes: Buffer
  encoding: string
  /** ASCII letters count in either case. */
  ignoreCase: boolean
}

/** Shorter ones stand in any large file by chance. */
export const MIN_PATTERN_BYTES = 6

/**
 * Every form in which this text could stand in a store without a key. Case is ignored where the form lets a reader do so;
 * where it does not (base64, hex of a text) the usual cases are forms of their own.
 */
export function encodingsOf(text: string): Pattern[] {
  const patterns: Pattern[] = []
  const add = (encoding: string, bytes: Buffer, ignoreCase = true) =>
    patterns.push({ encoding, bytes, ignoreCase })
  for (const written of spellings(text)) {
    const utf8 = Buffer.from(written)
    add('plain', utf8)
    add('utf-16le', Buffer.from(written, 'utf16le'))
    add('utf-16be', Buffer.from(written, 'utf16le').swap16())
    if (isLatin1(written)) add('latin-1', Buffer.from(written, 'latin1'))
    for (const [encoding, escaped] of Object.entries(escapes(written))) {
      if (escaped !== written) add(encoding, Buffer.from(escaped))
    }
  }
  for (const written of cases(text)) {
    const utf16 = Buffer.from(written, 'utf16le')
    patterns.push(...encodingsOfBytes(Buffer.from(written)))
    add('hex of utf-16le', Buffer.from(utf16.toString('hex')))
    for (const each of base64s(utf16)) add(`${each.encoding} of utf-16le`, each.bytes, false)
  }
  return distinct(patterns)
}

/** The textual forms of bytes: hex, and base64 at every alignment. */
export function encodingsOfBytes(bytes: Buffer): Pattern[] {
  const hex = Buffer.from(bytes.toString('hex'))
  return [{ encoding: 'hex', bytes: hex, ignoreCase: true }, ...base64s(bytes)]
}

/** Too short a form, or one of hardly any different bytes, is found everywhere. */
export function distinct(patterns: readonly Pattern[]): Pattern[] {
  const seen = new Set<string>()
  return patterns.filter(({ bytes, ignoreCase }) => {
    const name = `${ignoreCase} ${(ignoreCase ? Buffer.from(bytes.toString('latin1').toLowerCase(), 'latin1') : bytes).toString('base64')}`
    if (bytes.length < MIN_PATTERN_BYTES || new Set(bytes).size < 3 || seen.has(name)) return false
    seen.add(name)
    return true
  })
}

/** Beyond ASCII, letters have a case, and composed and decomposed forms, that bytes do not show. */
function spellings(text: string): Set<string> {
  const forms = [text, text.normalize('NFC'), text.normalize('NFD')]
  return new Set(forms.flatMap((form) => [form, form.toLowerCase(), form.toUpperCase()]))
}

function cases(text: string): Set<string> {
  const composed = text.normalize('NFC')
  return new Set([text, composed, composed.toLowerCase(), composed.toUpperCase()])
}

function isLatin1(text: string): boolean {
  return [...text].every((character) => (character.codePointAt(0) ?? 0) <= 0xff) && /[^\0-\x7f]/.test(text)
}

function escapes(text: string): Record<string, string> {
  const bytes = [...Buffer.from(text)]
  const hex = (byte: number) => byte.toString(16).padStart(2, '0')
  const json = JSON.stringify(text).slice(1, -1)
  const beyondAscii = (replace: (byte: number) => string) =>
    bytes.map((byte) => (byte < 0x80 ? String.fromCharCode(byte) : replace(byte))).join('')
  return {
    url: percentEncode(text),
    'url, as a form': percentEncode(text).replaceAll('%20', '+'),
    'url, every byte': bytes.map((byte) => `%${hex(byte)}`).join(''),
    json,
    'json, slashes': json.replaceAll('/', '\\/'),
    'json, ascii': json.replace(
      /[^\0-\x7f]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
    html: text.replace(/[&<>"']/g, (character) => HTML[character] ?? character),
    'html, decimal': text.replace(/[^ a-z0-9.-]/gi, (character) => `&#${character.codePointAt(0)};`),
    'html, hexadecimal': text.replace(
      /[^ a-z0-9.-]/gi,
      (character) => `&#x${character.codePointAt(0)?.toString(16)};`,
    ),
    'quoted-printable': bytes
      .map((byte) => (byte > 0x7e || byte === 0x3d ? `=${hex(byte)}` : String.fromCharCode(byte)))
      .join(''),
    'octal escapes': beyondAscii((byte) => `\\${byte.toString(8).padStart(3, '0')}`),
    'hexadecimal escapes': beyondAscii((byte) => `\\x${hex(byte)}`),
    'sql quotes': text.replaceAll("'", "''"),
  }
}

const HTML: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** `encodeURIComponent` throws at a lone surrogate; and it leaves some that others escape. */
function percentEncode(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9_.~-]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`
    })
    .join('')
}

/** The characters that hold nothing but these bytes, wherever in a longer text of base64 they stand (RFC 4648). */
function base64s(bytes: Buffer): Pattern[] {
  return [0, 1, 2].flatMap((alignment) => {
    const text = Buffer.concat([Buffer.alloc(alignment), bytes]).toString('base64')
    const first = Math.ceil((alignment * 8) / 6)
    const last = Math.floor(((alignment + bytes.length) * 8) / 6)
    const own = text.slice(first, last)
    const patterns = [{ encoding: `base64+${alignment}`, bytes: Buffer.from(own), ignoreCase: false }]
    if (/[+/]/.test(own)) {
      const url = own.replaceAll('+', '-').replaceAll('/', '_')
      patterns.push({ encoding: `base64url+${alignment}`, bytes: Buffer.from(url), ignoreCase: false })
    }
    return patterns
  })
}
