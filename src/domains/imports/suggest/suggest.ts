import type { Sample } from '../engine/head.ts'
import { cleanCell } from '../engine/header.ts'
import { attributeNameMax, attributesMax } from '../engine/mapping.ts'
import type { Target } from '../engine/target.ts'
import { type Encoding, printable } from '../engine/text.ts'
import type { FieldMapping, ImportMapping } from '../mappings/schemas.ts'
import { type Column, profile } from './columns.ts'
import { type Proposal, propose } from './propose.ts'
import type { MappingSuggestion, SuggestionWarning } from './schemas.ts'

/** The head of a file, and how it was read. */
export type FileHead = {
  sample: Sample
  encoding: Encoding
  delimiter: string
  /** It is the whole file. */
  complete: boolean
}

const samplesMax = 5
const unknownMax = 50
const cellMax = 200

/**
 * Proposes how a file is to be read, with the reasons, and lists what only a person can tell.
 * @param given values that are the same in every row, by field
 */
export async function suggestMapping(
  { sample, encoding, delimiter, complete }: FileHead,
  target: Target,
  given: Record<string, string>,
): Promise<MappingSuggestion> {
  const columns = await profile(sample)
  const order = [...target.fields.keys()]
  const proposals = await propose(columns, target, given)
  proposals.sort((a, b) => order.indexOf(a.field) - order.indexOf(b.field))
  for (const proposal of proposals) addDefault(proposal, proposals, sample, target)
  const rest = restOf(columns, proposals, target)
  const mapping: ImportMapping = {
    rest: rest.warning === undefined && target.hasAttributes ? 'attributes' : 'ignore',
    fields: Object.fromEntries(proposals.map(({ field, mapping: source }) => [field, source])),
  }
  const mapped = new Map(proposals.map(({ column, field }) => [column, field]))
  return {
    target: target.name,
    ...{ encoding, delimiter, complete, mapping },
    rows: sample.records.length,
    columns: columns.map((column) => ({
      name: printable(column.name, cellMax),
      field: mapped.get(column) ?? null,
      samples: [...column.cells.keys()].slice(0, samplesMax).map(shown),
      distinct: column.cells.size,
      empty: column.empty,
    })),
    fields: proposals.map((proposal) => presentProposal(proposal, target)),
    unmapped_required: target.required.filter((field) => !proposals.some((proposal) => proposal.field === field)),
    ambiguous_dates: proposals.flatMap(ambiguousDates),
    unknown_values: proposals.flatMap(unknownValues),
    warnings: [...(rest.warning ? [rest.warning] : []), ...proposals.flatMap((one) => warningsOf(one, sample, target))],
  }
}

const shown = (cell: string) => printable(cell, cellMax)

const presentProposal = ({ field, column, confidence, reason, alternatives }: Proposal, target: Target) => ({
  field,
  required: target.required.includes(field),
  column: column === undefined ? null : shown(column.name),
  confidence,
  reason: printable(reason, 1_000),
  alternatives: alternatives.map((other) => ({
    column: shown(other.column.name),
    confidence: other.confidence,
    reason: printable(other.reason, 1_000),
  })),
})

/** How many rows have nothing for a field, in its column and in the one that stands in. */
function emptyRows({ column, mapping }: Proposal, { header, records }: Sample): string[][] {
  if (column === undefined) return []
  const places = [column.at, header.names.indexOf(mapping.fallback_column ?? '')]
  return records.filter((record) => places.every((at) => cleanCell(record[at] ?? '') === ''))
}

/** Says what empty cells stand for, where the target knows and nothing in the file speaks against it. */
function addDefault(proposal: Proposal, proposals: Proposal[], sample: Sample, target: Target): void {
  const { field, column, mapping } = proposal
  const empty = target.hints?.[field]?.empty
  if (empty === undefined || column === undefined || column.empty === 0 || column.filled === 0) return
  const said = new Set([...column.cells.keys()].map((cell) => mapping.values?.[cell] ?? cell))
  const others = proposals.flatMap((one) => (empty.unlessFilled.includes(one.field) && one.column ? one.column.at : []))
  const speakAgainst = emptyRows(proposal, sample).some((row) => others.some((at) => cleanCell(row[at] ?? '') !== ''))
  if (proposal.shape?.unknown !== undefined || speakAgainst || empty.unlessSaid.some((value) => said.has(value))) return
  proposal.mapping = { ...mapping, default: empty.value }
  proposal.reason += `; its words are those of loans that have ended, so an empty cell is ${empty.value}`
}

/** Whether the columns that are no field can be kept as attributes. */
function restOf(columns: Column[], proposals: Proposal[], target: Target): { warning?: SuggestionWarning } {
  const left = columns.filter((column) => !proposals.some((proposal) => proposal.column === column))
  const fits = left.length <= attributesMax && left.every(({ name }) => name.length <= attributeNameMax)
  if (fits || !target.hasAttributes) return {}
  const message = `${left.length} columns are no field, and at most ${attributesMax} can be kept as attributes: they are left out. Ignore some to keep the others.`
  return { warning: { code: 'too_many_attributes', field: null, column: null, message } }
}

function ambiguousDates({ field, column, shape }: Proposal): MappingSuggestion['ambiguous_dates'] {
  if (shape?.dates === undefined || column === undefined) return []
  const { formats, example } = shape.dates
  return [
    {
      field,
      column: shown(column.name),
      value: example === undefined ? null : shown(example.value),
      readings: formats.map((date_format, at) => ({ date_format, date: example?.dates[at] ?? null })),
    },
  ]
}

function unknownValues({ field, column, shape }: Proposal): MappingSuggestion['unknown_values'] {
  if (shape?.unknown === undefined || column === undefined) return []
  const values = shape.unknown.slice(0, unknownMax)
  return [
    {
      field,
      column: shown(column.name),
      values: values.map((cell) => ({ cell: shown(cell), rows: column.cells.get(cell) ?? 0 })),
    },
  ]
}

function warningsOf(proposal: Proposal, sample: Sample, target: Target): SuggestionWarning[] {
  const { field, column, mapping, shape } = proposal
  if (column === undefined || shape === undefined) return []
  const at = { field, column: shown(column.name) }
  const found: SuggestionWarning[] = []
  const empty =
    target.required.includes(field) && mapping.default === undefined ? emptyRows(proposal, sample).length : 0
  if (empty > 0)
    found.push({
      ...at,
      code: 'empty_cells',
      message: `${empty} of ${sample.records.length} rows have none. Say with fields.${field}.default what that stands for, or send on_error=skip.`,
    })
  if (target.key.length === 1 && target.key[0] === field && column.cells.size < column.filled)
    found.push({ ...at, code: 'not_unique', message: `${field} must be unique, and some cells are there twice.` })
  if (shape.isUnclear)
    found.push({
      ...at,
      code: 'number_format_unclear',
      message: `The mark in these numbers may stand before decimals or between thousands; ${marksOf(mapping)} is assumed.`,
    })
  if (shape.unknown === undefined && column.filled > 0 && unread(shape.share, mapping))
    found.push({
      ...at,
      code: 'unread_cells',
      message: `About ${Math.ceil((1 - shape.share) * 100)}% of the cells are no ${field}, and their rows would be rejected.`,
    })
  return found
}

const unread = (share: number, { values }: FieldMapping) => share < 1 && values === undefined

const marksOf = ({ decimal, thousands }: FieldMapping) =>
  thousands === undefined ? `"${decimal ?? '.'}" before decimals` : `"${thousands}" between thousands`
