import { join } from 'node:path'
import { run } from './process.ts'

export interface CertificateFiles {
  certificatePath: string
  keyPath: string
  /** Both in one file, as some servers want them. */
  bothPath: string
}

/** A self-signed certificate for localhost, made by openssl into the directory. */
export async function makeCertificate(directory: string): Promise<CertificateFiles> {
  const certificatePath = join(directory, 'server.crt')
  const keyPath = join(directory, 'server.key')
  const bothPath = join(directory, 'server.pem')
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', keyPath, '-out', certificatePath],
  ])
  await run('sh', ['-c', 'cat "$1" "$2" > "$3"', 'sh', keyPath, certificatePath, bothPath])
  return { certificatePath, keyPath, bothPath }
}

/** The same as a PKCS #12 file, for Java. */
export async function makeKeyStore(directory: string, password: string): Promise<string> {
  const { certificatePath, keyPath } = await makeCertificate(directory)
  const path = join(directory, 'server.p12')
  await run('openssl', [
    ...['pkcs12', '-export', '-inkey', keyPath, '-in', certificatePath, '-name', 'server'],
    ...['-passout', `pass:${password}`, '-out', path],
  ])
  return path
}
