import { setImmediate } from 'node:timers/promises'
import type { FieldHint } from '../../../db/import-target.ts'
import type { Target } from '../engine/target.ts'
import type { FieldMapping } from '../mappings/schemas.ts'
import { type Column, shareOf } from './columns.ts'
import { likeness, wordsOf } from './names.ts'
import { type Shape, shapeOf } from './shapes.ts'

/** A column that may be a field, and how sure that is, from 0 to 1. */
type Candidate = { field: string; column: Column; confidence: number; reason: string; shape: Shape }

/** What is proposed for a field, and what else it might be. */
export type Proposal = {
  field: string
  /** Without one the field is the same in every row. */
  column: Column | undefined
  confidence: number
  reason: string
  mapping: FieldMapping
  shape: Shape | undefined
  alternatives: Candidate[]
}

/** From here on a column is proposed, and from there on told as an alternative. */
const proposedFrom = 0.5
const toldFrom = 0.3
const alternativesMax = 3

/** Names beyond this are not guessed by what the cells hold. */
const unlikely = 0.05

/**
 * Finds a column for each field: the surest pair first, and no column twice.
 * @param given values that are the same in every row, by field
 */
export async function propose(
  columns: readonly Column[],
  target: Target,
  given: Record<string, string>,
): Promise<Proposal[]> {
  const candidates: Candidate[] = []
  for (const field of target.fields.keys()) candidates.push(...(await candidatesFor(field, columns, target)))
  candidates.sort((a, b) => b.confidence - a.confidence)
  const fields = new Map<string, Candidate>()
  const taken = new Set<Column>()
  for (const candidate of candidates) {
    const { field, column, confidence } = candidate
    if (confidence < proposedFrom || fields.has(field) || taken.has(column)) continue
    fields.set(field, candidate)
    taken.add(column)
  }
  const proposals: Proposal[] = []
  for (const found of fields.values()) {
    proposals.push(proposalOf(found, candidates, columns, taken, target))
    await setImmediate()
  }
  for (const [field, constant] of Object.entries(given))
    if (!fields.has(field))
      proposals.push({
        ...{ field, column: undefined, shape: undefined, alternatives: [] },
        confidence: 1,
        reason: 'the same for the whole portfolio',
        mapping: { constant },
      })
  return proposals
}

function proposalOf(
  { field, column, confidence, reason, shape }: Candidate,
  candidates: Candidate[],
  columns: readonly Column[],
  taken: ReadonlySet<Column>,
  target: Target,
): Proposal {
  const spare = column.empty > 0 ? spareFor(field, shape, columns, taken, target) : undefined
  return {
    ...{ field, column, confidence, shape },
    reason: spare ? `${reason}; "${spare.name}" stands in where it is empty` : reason,
    mapping: {
      column: column.name,
      ...(spare && { fallback_column: spare.name }),
      ...shape.mapping,
      ...blanks(field, column, target, shape),
    },
    alternatives: candidates
      .filter((one) => one.field === field && one.column !== column && one.confidence >= toldFrom)
      .slice(0, alternativesMax),
  }
}

/** After so many milliseconds other requests have their turn. */
const stretchMs = 5

async function candidatesFor(field: string, columns: readonly Column[], target: Target): Promise<Candidate[]> {
  const hint = target.hints?.[field] ?? {}
  const known = [field, ...(hint.names ?? [])].map(wordsOf)
  const candidates: Candidate[] = []
  await setImmediate()
  let since = performance.now()
  for (const column of columns) {
    const named = likeness(column.words, known)
    const found = named >= toldFrom ? byName(field, column, named, target) : byCells(field, column, hint, target)
    if (found !== undefined && found.confidence >= unlikely) candidates.push(found)
    if (performance.now() - since < stretchMs) continue
    await setImmediate()
    since = performance.now()
  }
  return candidates
}

function byName(field: string, column: Column, named: number, target: Target): Candidate {
  const shape = shapeOf(field, column, target)
  const name = named > 0.75 ? `"${column.name}" is a name of ${field}` : `"${column.name}" is like a name of ${field}`
  if (column.filled === 0)
    return { field, column, shape, confidence: rounded(named * 0.6), reason: `${name}; all its cells are empty here` }
  const isKey = target.key.length === 1 && target.key[0] === field
  const repeated = isKey && column.cells.size < column.filled
  const isCoded = target.fields.get(field)?.enum !== undefined
  // Words that are not known can be told; dates and numbers that are none cannot be helped.
  const fit = isCoded ? 0.6 + 0.4 * shape.share : shape.share < 0.5 ? 0.5 * shape.share : 0.3 + 0.7 * shape.share
  const percent = Math.round(shape.share * 100)
  const cells = repeated ? 'but it is not unique' : `${percent}% of its cells fit`
  return { field, column, shape, confidence: rounded(named * fit * (repeated ? 0.6 : 1)), reason: `${name}; ${cells}` }
}

/** What the cells tell where the name does not. */
function byCells(field: string, column: Column, hint: FieldHint, target: Target): Candidate | undefined {
  if (column.filled === 0) return undefined
  if (hint.typical !== undefined) {
    const typical = new Set(hint.typical)
    const share = shareOf(column, (cell) => typical.has(cell))
    if (share > 0.9)
      return {
        field,
        column,
        shape: shapeOf(field, column, target),
        confidence: 0.6,
        reason: `its cells are such as only ${field} has`,
      }
  }
  if (hint.words !== undefined && column.cells.size > 1 && column.cells.size <= 50) {
    const shape = shapeOf(field, column, target)
    const long = shareOf(column, (cell) => cell.length > 3)
    if (shape.share > 0.9 && long > 0.9)
      return { field, column, shape, confidence: 0.6, reason: `its cells are words of ${field}` }
  }
  const isKey = target.key.length === 1 && target.key[0] === field
  const isUnique = column.at === 0 && column.empty === 0 && column.cells.size === column.filled && column.filled > 1
  if (isKey && isUnique && shareOf(column, (cell) => /^[^ ]*[0-9][^ ]*$/.test(cell)) === 1)
    return {
      field,
      column,
      shape: shapeOf(field, column, target),
      confidence: 0.5,
      reason: 'the first column, different in every row',
    }
  return undefined
}

const rounded = (number: number) => Math.round(number * 100) / 100

/** A column of another date or amount that is there where this one's cells are empty, and is written alike. */
function spareFor(field: string, shape: Shape, columns: readonly Column[], taken: ReadonlySet<Column>, target: Target) {
  const known = (target.hints?.[field]?.fallbacks ?? []).map(wordsOf)
  return columns.find((column) => {
    if (taken.has(column) || column.empty > 0 || likeness(column.words, known) < 0.75) return false
    const other = shapeOf(field, column, target)
    return other.share === 1 && JSON.stringify(other.mapping) === JSON.stringify(shape.mapping)
  })
}

const placeholders = new Set(['n/a', 'na', 'null', 'none', '-', '--', '.', '#n/a', 'nan', 'unknown', 'not available'])

/** Cells of a field that may be left out which say that there is nothing; among codes of several digits 0 is one. */
function blanks(
  field: string,
  column: Column,
  target: Target,
  { mapping, share }: Shape,
): Pick<FieldMapping, 'values'> {
  if (target.required.includes(field)) return {}
  const isText = target.kinds.get(field) === 'text' && target.fields.get(field)?.enum === undefined
  const areCodes = isText && shareOf(column, (cell) => cell === '0' || /^[0-9]{3,10}$/.test(cell)) === 1
  const found = [...column.cells.keys()].filter(
    (cell) => (areCodes && cell === '0') || ((share < 1 || isText) && placeholders.has(cell.toLowerCase())),
  )
  if (found.length === 0) return {}
  return { values: { ...mapping.values, ...Object.fromEntries(found.map((cell) => [cell, null])) } }
}
