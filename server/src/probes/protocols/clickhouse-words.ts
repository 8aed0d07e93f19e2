/** What both of ClickHouse's protocols are asked: the tables' count, and the version. The names of no table are read. */
export const COUNT_TABLES = 'SELECT count(), version() FROM system.tables'

/** UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED, AUTHENTICATION_FAILED in its ErrorCodes.cpp. */
const CREDENTIALS: readonly number[] = [192, 193, 194, 195, 516]

export function asksForCredentials(code: number): boolean {
  return CREDENTIALS.includes(code)
}
