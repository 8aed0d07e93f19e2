// PostgreSQL's error codes, class 23.
const CODES = { unique: '23505', foreign_key: '23503' } as const

export function isViolation(error: unknown, kind: keyof typeof CODES): boolean {
  return error instanceof Error && 'code' in error && error.code === CODES[kind]
}
