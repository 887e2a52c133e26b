import { Ajv, type Options } from 'ajv'
import addFormats from 'ajv-formats'

type Part = { schema: object; httpPart?: string }

const shared: Options = {
  allErrors: true,
  removeAdditional: false,
  useDefaults: true,
  strictTypes: false,
  allowUnionTypes: true,
}

/** A JSON Schema validator as strict as bodies are validated: nothing is coerced, nothing removed. */
export const strictAjv = () => {
  const ajv = new Ajv(shared)
  addFormats.default(ajv, ['date', 'date-time'])
  return ajv
}

/**
 * Bodies are taken as they are; params, query and headers are text, so they are coerced to their types, but a
 * repeated parameter is still an array and refused.
 */
export function buildValidator(externalSchemas: Record<string, object>) {
  const strict = strictAjv()
  // Ajv coerces "1e999" to Infinity, and with strictNumbers it then skips the bounds.
  const coercing = new Ajv({ ...shared, coerceTypes: true, strictNumbers: false })
  addFormats.default(coercing, ['date', 'date-time'])
  for (const schema of Object.values(externalSchemas)) {
    strict.addSchema(schema)
    coercing.addSchema(schema)
  }
  return ({ schema, httpPart }: Part) => (httpPart === 'body' ? strict : coercing).compile(schema)
}
