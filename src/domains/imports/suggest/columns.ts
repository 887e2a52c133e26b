import { setImmediate } from 'node:timers/promises'
import type { Sample } from '../engine/head.ts'
import { cleanCell, errorsColumn } from '../engine/header.ts'
import { wordsOf } from './names.ts'

/** What the head of a file says of one of its columns. */
export type Column = {
  name: string
  at: number
  words: string[]
  /** The different cells that are not empty, in the order of the file, with how often each is there. */
  cells: ReadonlyMap<string, number>
  filled: number
  empty: number
}

/** Looks at each column, and lets other requests have their turn between two. */
export async function profile({ header, records }: Sample): Promise<Column[]> {
  const columns: Column[] = []
  for (const [at, name] of header.names.entries()) {
    if (name === errorsColumn) continue
    const cells = new Map<string, number>()
    let empty = 0
    for (const record of records) {
      const cell = cleanCell(record[at] ?? '')
      if (cell === '') empty++
      else cells.set(cell, (cells.get(cell) ?? 0) + 1)
    }
    columns.push({ name, at, words: wordsOf(name), cells, filled: records.length - empty, empty })
    if (at % 8 === 7) await setImmediate()
  }
  return columns
}

/** The share of a column's filled cells for which something holds. */
export function shareOf({ cells, filled }: Column, holds: (cell: string) => boolean): number {
  let count = 0
  for (const [cell, times] of cells) if (holds(cell)) count += times
  return filled === 0 ? 0 : count / filled
}
