import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { AppError } from '../core/index.ts'

const INTEGER = /^(0|[1-9][0-9]{0,15})$/

/**
 * Validates with the same schemas that make the types and the OpenAPI document. Bodies are taken as they are:
 * nothing is converted and nothing unknown is dropped silently. Query parameters are text on the wire, so that
 * those whose schema is an integer or a boolean are read as one, in their one plain form.
 */
const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema)
  return (input: unknown) => {
    const value = httpPart === 'querystring' ? readQuery(schema, input) : input
    if (validator.Check(value)) return { value }
    const [first] = validator.Errors(value)
    return { error: new AppError('invalid_request', { message: describe(httpPart, first) }) }
  }
}

export function validateWithTypeBox(app: FastifyInstance): void {
  app.setValidatorCompiler(compileValidator)
  // An AppError of the compiler goes out as it is.
  app.setSchemaErrorFormatter((errors) => errors as unknown as Error)
}

function readQuery(schema: TSchema, input: unknown): unknown {
  const properties = (schema as { properties?: Record<string, { type?: string }> }).properties ?? {}
  const values: Record<string, unknown> = { ...(input as Record<string, unknown>) }
  for (const [name, { type }] of Object.entries(properties)) {
    const text = values[name]
    if (type === 'integer' && typeof text === 'string' && INTEGER.test(text)) values[name] = Number(text)
    if (type === 'boolean' && (text === 'true' || text === 'false')) values[name] = text === 'true'
  }
  return values
}

/** Where the validator's own words would show a regular expression, or less than they should. */
const sentences: Record<string, string> = {
  pattern: 'does not have the right form',
  const: 'is not one of the values that are known here',
}

/** Where and what, never the value itself. */
function describe(
  part: string | undefined,
  error: { instancePath: string; keyword: string; message: string; params: object } | undefined,
): string {
  const where = `${part === 'querystring' ? 'query' : (part ?? 'request')}${(error?.instancePath ?? '').slice(0, 120)}`
  if (!error) return `${where}: not valid`
  if (error.keyword === 'additionalProperties') return `${where}: has a property that is not known here`
  return `${where}: ${sentences[error.keyword] ?? error.message}`
}
