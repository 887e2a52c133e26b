import type { Grade } from '../../../db/tables/credit.ts'
import { invalidField, Problem } from '../../../lib/errors.ts'

/**
 * Judges the grades of a scale: names and ordinals are unique, ordinals ascend, with them the PD never falls (grades that
 * state none are passed over), and at most one grade, the riskiest, means default.
 * @throws Problem `validation_failed` with the place of the first fault
 */
export function checkGrades(grades: readonly Grade[]): void {
  const names = new Set<string>()
  let pd = 0
  for (const [index, one] of grades.entries()) {
    const fault = (field: keyof Grade, code: string, message: string) =>
      invalidField(`/body/grades/${index}/${field}`, code, message)
    if (names.has(one.grade)) throw fault('grade', 'unique', 'is there twice')
    names.add(one.grade)
    if (index > 0 && one.ordinal <= (grades[index - 1] as Grade).ordinal)
      throw fault('ordinal', 'ascending', 'must be above the ordinal of the grade before, which is less risky')
    if (one.pd !== null && Number(one.pd) < pd)
      throw fault('pd', 'ascending', 'must not be below the PD of a less risky grade')
    pd = Number(one.pd ?? pd)
    if (one.is_default && index < grades.length - 1)
      throw fault('is_default', 'last', 'must be false: only the riskiest grade can mean default')
  }
}

/**
 * What a change of the grades must leave as it was, because ratings rest on it: the grades in use are there, in the same
 * order, and mean default or not as before. Names of others, PDs and ordinals as such are free.
 * @param used the grades that ratings have
 * @throws Problem `in_use`
 */
export function checkGradesInUse(before: readonly Grade[], after: readonly Grade[], used: ReadonlySet<string>): void {
  const kept = (grades: readonly Grade[]) => grades.filter(({ grade }) => used.has(grade))
  const lost = kept(before).find(({ grade }) => !after.some((one) => one.grade === grade))
  if (lost) throw inUse(`Ratings have the grade ${lost.grade}, so the scale must keep it.`)
  const changed = kept(after).find(({ grade, is_default }, index) => {
    const was = kept(before)[index]
    return was?.grade !== grade || was.is_default !== is_default
  })
  if (changed)
    throw inUse(
      `Ratings have the grade ${changed.grade}, so its order among the grades in use and whether it means default must stay.`,
    )
}

const inUse = (detail: string) => new Problem('in_use', detail)
