import type { PostgresPool, PostgresPoolClient } from 'kysely'
import type pg from 'pg'

/** Each costs a plan in every connection: a list whose length varies makes a new text for each length. */
const MAX_PREPARED = 300
/** `feature_not_supported`: a migration has changed the columns under a prepared `select *`. */
const PLAN_IS_OUTDATED = '0A000'

/**
 * The pool for Kysely, with statements prepared once for each connection: to parse and plan a query of several joins
 * takes PostgreSQL longer than to run it.
 */
export function preparingPool(pool: pg.Pool): PostgresPool {
  const names = new Map<string, string>()

  function nameOf(text: string): string | undefined {
    const known = names.get(text)
    if (known || names.size >= MAX_PREPARED) return known
    const name = `hearthlock-${names.size}`
    names.set(text, name)
    return name
  }

  return {
    async connect() {
      const client = await pool.connect()
      let outdated = false
      async function query(text: string, values: readonly unknown[]): Promise<unknown> {
        const name = values.length > 0 ? nameOf(text) : undefined
        try {
          return await client.query({ text, values: [...values], ...(name && { name }) })
        } catch (error) {
          outdated ||= (error as { code?: string }).code === PLAN_IS_OUTDATED
          throw error
        }
      }
      // Cursors, the other form of `query`, are not used: the dialect is given none.
      return { query, release: () => client.release(outdated) } as unknown as PostgresPoolClient
    },
    end: () => pool.end(),
  }
}
