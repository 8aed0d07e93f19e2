import { readdir, readFile, readlink } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import type { Observed } from '../watched.ts'

const LISTEN = '0A'
const MAX_PROCESSES = 500
const SHOWN = 10

/**
 * Which TCP ports this process and its children listen on (Linux, proc(5)), against those that it was told to open: a
 * debugger's port, or a database that somebody made listen on the network.
 */
export async function lookAtDoors(o: { declared: () => number[] }): Promise<Observed[]> {
  const protocol = 'tcp'
  if (process.platform !== 'linux') {
    return [{ verdict: 'silent', protocol, evidence: 'not looked at on this operating system' }]
  }
  const inodes = await socketsOf(await family(process.pid))
  const listening = (await Promise.all(['tcp', 'tcp6'].map(listeners))).flat()
  const ours = listening.filter(({ inode }) => inodes.has(inode))
  const declared = new Set(o.declared())
  const strange = ours.filter(({ port }) => !declared.has(port))
  if (strange.length === 0) {
    return [{ verdict: 'protected', protocol, evidence: `listens on ${ours.length} ports, all declared` }]
  }
  const named = strange.slice(0, SHOWN).map(({ host, port }) => `${host} port ${port}`)
  return [
    {
      verdict: 'open',
      finding: 'door',
      protocol,
      evidence: `listens on ${named.join(', ')}, which is not declared`,
    },
  ]
}

interface Listener {
  host: string
  port: number
  inode: string
}

async function listeners(table: string): Promise<Listener[]> {
  const text = await readFile(`/proc/self/net/${table}`, 'utf8').catch(() => '')
  return text.split('\n').slice(1).flatMap(listenerOf)
}

function listenerOf(line: string): Listener[] {
  const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
  const [address = '', port = ''] = local.split(':')
  if (state !== LISTEN || inode === '') return []
  return [{ host: hostOf(address), port: Number.parseInt(port, 16), inode }]
}

/** The kernel writes the four bytes of a word backwards on the machines that there are. */
function hostOf(hex: string): string {
  if (hex.length !== 8) return /^0+$/.test(hex) ? 'every address' : 'an IPv6 address'
  const host = (hex.match(/../g) ?? [])
    .reverse()
    .map((byte) => Number.parseInt(byte, 16))
    .join('.')
  return host === '0.0.0.0' || !isIPv4(host) ? 'every address' : host
}

async function family(pid: number): Promise<number[]> {
  const found = [pid]
  for (const each of found) {
    if (found.length >= MAX_PROCESSES) break
    for (const task of await readdir(`/proc/${each}/task`).catch(() => [])) {
      const children = await readFile(`/proc/${each}/task/${task}/children`, 'utf8').catch(() => '')
      found.push(...children.split(' ').filter(Boolean).map(Number))
    }
  }
  return found
}

async function socketsOf(pids: number[]): Promise<Set<string>> {
  const inodes = new Set<string>()
  for (const pid of pids) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
      const [, inode] = /^socket:\[(\d+)\]$/.exec(link) ?? []
      if (inode) inodes.add(inode)
    }
  }
  return inodes
}
