import { invalidField } from '../../../lib/errors.ts'
import type { Shocks, ShocksInput, StressFigures } from './schemas.ts'

/** Shocks that change nothing. */
export const neutral: Shocks = {
  pd_multiplier: '1',
  pd_shift: '0',
  lgd_multiplier: '1',
  lgd_shift: '0',
  rate_shift: '0',
}

type Asked = { name?: string; shocks?: ShocksInput }
type Scenario = { name: string; shocks: Shocks }

/**
 * What a run is called and which shocks it applies: those asked for, over the scenario's, over neutral ones.
 * @throws Problem `validation_failed` when there is neither a scenario nor what it would give
 */
export function runOf({ name, shocks }: Asked, scenario: Scenario | undefined): Scenario {
  const named = name ?? scenario?.name
  if (named === undefined) throw invalidField('/body/name', 'required', 'is required without a scenario_id')
  if (scenario === undefined && shocks === undefined)
    throw invalidField('/body/shocks', 'required', 'is required without a scenario_id')
  return { name: named, shocks: { ...neutral, ...scenario?.shocks, ...shocks } }
}

/** The figures minus others, one by one; null where either is. */
export const differenceOf = (figures: StressFigures, others: StressFigures): StressFigures =>
  Object.fromEntries(
    (Object.keys(figures) as (keyof StressFigures)[]).map((name) => [name, minus(figures[name], others[name])]),
  ) as StressFigures

/** Decimals of one scale, subtracted without a float. */
function minus(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return null
  const scale = a.length - 1 - a.indexOf('.')
  const units = BigInt(a.replace('.', '')) - BigInt(b.replace('.', ''))
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0')
  return `${units < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}
