import { Problem } from '../../../lib/errors.ts'
import type { FieldMapping, ImportMapping } from '../mappings/schemas.ts'
import { autoFormat, type DateFinding, findDateFormats } from './date-formats.ts'
import { isoFormat } from './dates.ts'
import type { Sample } from './head.ts'
import { cleanCell } from './header.ts'
import type { Target } from './target.ts'

/** The fields whose dates the file is to tell the format of. */
const autoFields = ({ fields, date_format }: ImportMapping, target: Target) =>
  Object.entries(fields).filter(
    ([field, source]) =>
      target.kinds.get(field) === 'date' &&
      source.column !== undefined &&
      (source.date_format ?? date_format) === autoFormat,
  )

export const asksForDates = (mapping: ImportMapping | undefined, target: Target): boolean =>
  mapping !== undefined && autoFields(mapping, target).length > 0

/**
 * Puts the format that the head of the file tells in the place of `auto`; ISO 8601 where there is no date to tell it.
 * @throws Problem `date_format_ambiguous` where the dates can be read in two ways, or no one format reads them all
 */
export function settleDates(mapping: ImportMapping, sample: Sample, target: Target): ImportMapping {
  const settled = autoFields(mapping, target).map(([field, source]): [string, FieldMapping] => {
    const finding = findDateFormats(datesOf(source, sample))
    if (finding.isMixed || finding.formats.length > 1) throw ambiguous(field, source, finding)
    return [field, { ...source, date_format: finding.formats[0] ?? isoFormat }]
  })
  const { date_format, ...rest } = mapping
  return {
    ...rest,
    ...(date_format !== undefined && date_format !== autoFormat && { date_format }),
    fields: { ...mapping.fields, ...Object.fromEntries(settled) },
  }
}

/** So many different dates tell enough; more would keep other requests waiting. */
const datesMax = 5_000

/** The different cells that the field reads its dates from. */
function datesOf({ column, fallback_column, values = {} }: FieldMapping, { header, records }: Sample): string[] {
  const places = [column, fallback_column].map((name) => header.names.indexOf(name?.trim() ?? ''))
  const cells = new Set<string>()
  for (const record of records) {
    if (cells.size >= datesMax) break
    for (const at of places) {
      const cell = cleanCell(record[at] ?? '')
      if (cell !== '' && !Object.hasOwn(values, cell)) cells.add(cell)
    }
  }
  return [...cells]
}

function ambiguous(field: string, { column }: FieldMapping, { formats, example, isMixed }: DateFinding): Problem {
  const detail = isMixed
    ? `The dates of "${column}" are written in several ways`
    : `The dates of "${column}" can be read in two ways: "${example?.value}" is ${formats
        .map((format, at) => `${example?.dates[at]} as ${format}`)
        .join(', or ')}`
  return new Problem('date_format_ambiguous', `${detail}. Say date_format in the mapping.`, {
    errors: [
      {
        pointer: `/body/mapping/fields/${field}/date_format`,
        code: 'ambiguous',
        message: 'must be said for this file',
      },
    ],
  })
}
