import { Ajv, type AnySchema, type ErrorObject, type Options, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'

type Part = { schema: AnySchema; httpPart?: string }

const shared: Options = {
  allErrors: true,
  removeAdditional: false,
  useDefaults: true,
  strictTypes: false,
  allowUnionTypes: true,
  // Schemas are TypeBox's: judging each against the meta-schema first costs more than compiling them.
  validateSchema: false,
  // Errors bring the schema that was not met, of which `faultMessage` tells.
  verbose: true,
}

/** These formats are for readers of the document; patterns, `requiredEmail` and `assertPassword` judge. */
function ajvWith(options: Options) {
  const ajv = new Ajv({ ...shared, formats: { uuid: true, email: true, password: true }, ...options })
  addFormats.default(ajv, ['date', 'date-time'])
  return ajv
}

/** A JSON Schema validator as strict as bodies are validated: nothing is coerced, nothing removed. */
export const strictAjv = () => ajvWith({})

/** Ajv coerces "1e999" to Infinity, and with strictNumbers it then skips the bounds. */
const coercingAjv = () => ajvWith({ coerceTypes: true, strictNumbers: false })

/** Compiled at its first use: the start of the service would otherwise wait for every schema of every route. */
function lazily(ajv: () => Ajv, schema: AnySchema) {
  let compiled: ValidateFunction | undefined
  const validate = (data: unknown): boolean => {
    compiled ??= ajv().compile(schema)
    const valid = compiled(data)
    result.errors = compiled.errors ?? null
    return valid
  }
  const result: typeof validate & { errors: ErrorObject[] | null } = Object.assign(validate, { errors: null })
  return result
}

/**
 * Bodies are taken as they are; params, query and headers are text, so they are coerced to their types, but a
 * repeated parameter is still an array and refused.
 */
export function buildValidator(externalSchemas: Record<string, object>) {
  const withSchemas = (ajv: Ajv) => {
    for (const schema of Object.values(externalSchemas)) ajv.addSchema(schema)
    return ajv
  }
  let strict: Ajv | undefined
  let coercing: Ajv | undefined
  const ofBodies = () => (strict ??= withSchemas(strictAjv()))
  const ofText = () => (coercing ??= withSchemas(coercingAjv()))
  return ({ schema, httpPart }: Part) => lazily(httpPart === 'body' ? ofBodies : ofText, schema)
}
