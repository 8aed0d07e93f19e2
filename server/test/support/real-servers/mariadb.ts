import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { type RealServer, run, startReal } from './process.ts'
import { program } from './programs.ts'

export const mariadb = program('mariadbd', { debian: 'mariadb-server' })

/** `statements` are executed at its start, as its administrator. */
export function startMariadb(
  o: { statements?: string[]; args?: string[]; tls?: boolean } = {},
): Promise<RealServer> {
  return startReal({
    command: mariadb.path ?? mariadb.name,
    async arrange({ port, directory, write }) {
      const data = join(directory, 'data')
      await run('mariadb-install-db', [
        ...['--no-defaults', `--datadir=${data}`, '--user=root', '--skip-test-db'],
        '--auth-root-authentication-method=normal',
      ])
      const init = await write('init.sql', `${(o.statements ?? []).join(';\n')};\n`)
      const args = ['--no-defaults', `--datadir=${data}`, '--user=root', '--bind-address=127.0.0.1']
      args.push(`--port=${port}`, `--socket=${directory}/socket`, `--pid-file=${directory}/pid`)
      args.push('--innodb-buffer-pool-size=16M', '--innodb-log-file-size=8M', '--skip-log-bin')
      if (o.statements?.length) args.push(`--init-file=${init}`)
      if (o.tls) {
        const { certificatePath, keyPath } = await makeCertificate(directory)
        args.push(`--ssl-cert=${certificatePath}`, `--ssl-key=${keyPath}`)
      }
      return [...args, ...(o.args ?? [])]
    },
  })
}
