import { csvRecord } from '../../../lib/csv.ts'
import { invalidField } from '../../../lib/errors.ts'
import type { Target } from '../engine/target.ts'

/** What is imported where nothing is said. */
export const defaultTarget = 'loans'

/**
 * The target of this name.
 * @param pointer where the request says it, such as `/body/target`
 * @throws Problem that lists the targets there are
 */
export function targetNamed(targets: readonly Target[], name: string, pointer: string): Target {
  const found = targets.find((target) => target.name === name)
  if (found === undefined)
    throw invalidField(pointer, 'enum', `must be one of ${targets.map((target) => target.name).join(', ')}`)
  return found
}

/** A CSV of the header that needs no mapping: every field under its own name. */
export const templateOf = ({ fields }: Target): string => csvRecord([...fields.keys()])
