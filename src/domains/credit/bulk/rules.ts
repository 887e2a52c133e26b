import { invalidField } from '../../../lib/errors.ts'

type Operation = { op: string; id?: string; version?: number; data?: object }

/**
 * Whether an item says all that its operation needs, and nothing else.
 * @param required the fields of a whole loan
 * @throws Problem `validation_failed`
 */
export function assertComplete({ op, id, version, data }: Operation, required: readonly string[]): void {
  const given = data ?? {}
  const missing = op === 'create' ? required.find((name) => !(name in given)) : undefined
  if (missing !== undefined) throw invalidField(`/data/${missing}`, 'required', 'is required to create a loan')
  if (op !== 'create' && id === undefined) throw invalidField('/id', 'required', `is required to ${op} a loan`)
  if (op === 'create' && id !== undefined) throw invalidField('/id', 'unknown_field', 'is given by the service')
  if (op === 'create' && version !== undefined)
    throw invalidField('/version', 'unknown_field', 'is that of a loan that is there')
  if (op === 'update' && 'portfolio_id' in given)
    throw invalidField('/data/portfolio_id', 'unknown_field', 'cannot be changed')
  if (op === 'update' && data === undefined) throw invalidField('/data', 'required', 'is required to update a loan')
  if (op === 'delete' && data !== undefined) throw invalidField('/data', 'unknown_field', 'is not needed to delete')
}
