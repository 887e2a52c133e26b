import { Problem } from '../../../lib/errors.ts'
import { consecutive, type Period, periodsOf } from '../transitions/rules.ts'

type Asked = { from?: string | undefined; to?: string | undefined; series?: boolean | undefined }

/**
 * The periods that are meant: between two dates, or between every two consecutive ones.
 * @param dates the reporting dates there are from `from` to `to`, ascending
 * @throws Problem `invalid_period`; `as_of_without_snapshots` when there are not two dates to choose from
 */
export function rollPeriods(dates: readonly string[], { from, to, series }: Asked): Period[] {
  if (series === true && dates.length > 1) return consecutive(dates)
  const end = to ?? dates.at(-1)
  const start = from ?? dates.findLast((date) => end !== undefined && date < end)
  if (start === undefined || end === undefined)
    throw new Problem('as_of_without_snapshots', 'Fewer than two dates were reported; import tapes with as_of first.')
  return periodsOf(start, end)
}
