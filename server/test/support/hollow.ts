import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Every file below a directory, as bytes: what a thief of the disk has. */
export async function readAllBytes(directory: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(path, await readFile(path))
  }
  return files
}

/** The forms in which a known value could stand in a store, unkeyed: anybody who knows the value can look for these. */
export function formsOf(value: string): Map<string, Buffer> {
  const plain = Buffer.from(value, 'utf8')
  const forms = new Map<string, Buffer>([
    ['plain', plain],
    ['utf-16le', Buffer.from(value, 'utf16le')],
    ['utf-16be', Buffer.from(value, 'utf16le').swap16()],
    ['hex', Buffer.from(plain.toString('hex'))],
    ['HEX', Buffer.from(plain.toString('hex').toUpperCase())],
    ['url', Buffer.from(encodeURIComponent(value))],
  ])
  // Base64 of a text that holds the value somewhere: three alignments, without the characters its neighbours touch.
  for (const shift of [0, 1, 2]) {
    const padded = Buffer.concat([Buffer.alloc(shift), plain])
    const usable = padded.length - (padded.length % 3)
    const text = padded
      .subarray(0, usable)
      .toString('base64')
      .slice(shift === 0 ? 0 : 4)
    forms.set(`base64+${shift}`, Buffer.from(text))
    forms.set(`base64url+${shift}`, Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_')))
  }
  for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512', 'sha3-256']) {
    const digest = createHash(algorithm).update(plain).digest()
    forms.set(algorithm, digest)
    forms.set(`${algorithm} hex`, Buffer.from(digest.toString('hex')))
    forms.set(`${algorithm} base64`, Buffer.from(digest.toString('base64').replace(/=+$/, '')))
  }
  for (const [name, form] of forms) if (form.length < 6) forms.delete(name)
  return forms
}

/** Where any of the values stands in any of the files, in any form: `name (form) in path`. */
export function findIn(files: Map<string, Buffer>, values: Record<string, string>): string[] {
  const found: string[] = []
  for (const [name, value] of Object.entries(values)) {
    for (const [form, bytes] of formsOf(value)) {
      for (const [path, content] of files) {
        if (content.includes(bytes)) found.push(`${name} (${form}) in ${path}`)
      }
    }
  }
  return found
}
