/** PostgreSQL's port in the name of the socket; nothing listens on the network. */
export const SOCKET_PORT = 5432

/** The database and the role of ours. The role is no superuser: a statement smuggled in can't reach files or programs. */
export const DATABASE = 'hearthlock'
export const ROLE = 'hearthlock'
/** Used once, to make the two above. */
export const SUPERUSER = 'postgres'

/**
 * Given on the command line at each start, where they win over anything written in the cluster: nobody can loosen
 * them with ALTER SYSTEM and leave it so.
 */
export function settings(paths: { socketDir: string; hbaFile: string }): string[] {
  const values: Record<string, string> = {
    // Reached through a directory that only its owner may enter, and with a password even so.
    listen_addresses: '',
    port: String(SOCKET_PORT),
    unix_socket_directories: quoteListItem(paths.socketDir),
    unix_socket_permissions: '0700',
    hba_file: paths.hbaFile,
    password_encryption: 'scram-sha-256',

    // A byte copy of the log must name nobody. Messages of refused statements repeat values ("invalid input syntax
    // for type uuid: ..."), so errors of sessions stay out altogether: `log` leaves LOG, FATAL and PANIC.
    log_destination: 'stderr',
    logging_collector: 'off',
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    log_statement: 'none',
    log_min_duration_statement: '-1',
    log_min_duration_sample: '-1',
    log_duration: 'off',
    log_connections: '',
    log_disconnections: 'off',
    log_lock_waits: 'off',
    log_temp_files: '-1',
    log_autovacuum_min_duration: '-1',
    log_checkpoints: 'off',
    log_line_prefix: '%m [%p] ',
    log_timezone: 'UTC',
    timezone: 'UTC',

    // Nothing acknowledged may be lost.
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',

    // A small machine that also runs Hearthlock.
    max_connections: '60',
    shared_buffers: '128MB',
    work_mem: '8MB',
    maintenance_work_mem: '64MB',
    max_parallel_workers_per_gather: '0',
    autovacuum_max_workers: '2',
    jit: 'off',
    update_process_title: 'off',

    // An append-heavy load: checkpoints by time rather than by volume.
    wal_buffers: '16MB',
    min_wal_size: '256MB',
    max_wal_size: '2GB',
    checkpoint_timeout: '15min',
    checkpoint_completion_target: '0.9',
    max_wal_senders: '0',
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

export const HBA = `# Written by Hearthlock at each start.
local all all scram-sha-256
`

/** In a list setting, a path with a comma or a space has to be in double quotes. */
function quoteListItem(path: string): string {
  return `"${path.replaceAll('"', '""')}"`
}
