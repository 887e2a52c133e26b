import { Problem } from '../../../lib/errors.ts'
import { maturityOf } from '../loans/rules.ts'

export type Period = { from: string; to: string }

const periodsMax = 60
const invalid = (detail: string) => new Problem('invalid_period', detail)

/**
 * The periods from one date to another: one, or one after another of so many months; what is left over at the end is in
 * none. From the last day of a month they lead to last days of months, as reporting dates do.
 * @throws Problem `invalid_period`
 */
export function periodsOf(from: string, to: string, months?: number): Period[] {
  if (from >= to) throw invalid('from must lie before to.')
  if (months === undefined) return [{ from, to }]
  const ends = [from]
  for (;;) {
    const end = later(from, months * ends.length)
    if (end === null || end > to) return consecutive(ends)
    ends.push(end)
  }
}

/**
 * The periods between dates that follow each other.
 * @throws Problem `invalid_period` for none or too many
 */
export function consecutive(dates: readonly string[]): Period[] {
  if (dates.length < 2) throw invalid('No period fits between from and to; let them lie further apart.')
  if (dates.length > periodsMax + 1)
    throw invalid(`At most ${periodsMax} periods are compared at once; let from and to lie closer together.`)
  return dates.slice(1).map((to, at) => ({ from: dates[at] as string, to }))
}

/** The same day so many months later; the last day of a month leads to a last day. Null beyond the year 9999. */
function later(date: string, months: number): string | null {
  const last = `${date.slice(0, 8)}31`
  return maturityOf(maturityOf(last, 0) === date ? last : date, months)
}

/**
 * Loans that moved alike: from a state (null: they were in none, `outside` says why) to another (null: they were gone). In
 * one period, or in all (`opened` null).
 */
export type Cell = {
  opened: string | null
  was: string | null
  outside: string | null
  became: string | null
  loan_count: number
  balance: string | null
  row_count: number
  row_balance: string | null
  share_by_count: string | null
  share_by_balance: string | null
}

/** The states in their order, and what it is called to be gone; undefined where such loans have no column. */
export type States = { rows: readonly string[]; columns: readonly string[]; gone?: string | undefined }

/** The states, completed by those that the data has beside them: grades that the scale has lost. */
function statesOf(cells: readonly Cell[], { rows, columns, gone }: States) {
  const found = new Set(cells.flatMap(({ was, became }) => [was, became]))
  const more = [...found].filter((state): state is string => state !== null && !columns.includes(state)).sort()
  return { rows: [...rows, ...more], columns: [...columns, ...more], gone }
}

type Aside = { loan_count: number; balance: string | null }

/**
 * The rows of a matrix.
 * @param cells of one period, or of all
 * @param nothing the balance of no loans: null where balances are not looked at
 */
function matrixOf(cells: readonly Cell[], { rows, columns, gone }: States, nothing: string | null) {
  const targets = [...columns, ...(gone === undefined ? [] : [null])]
  return rows.map((state) => {
    const row = cells.filter(({ was }) => was === state)
    const total = row.find(({ became }) => became !== null) ?? row[0]
    const at = targets.map((target) => row.find(({ became }) => became === target))
    const share = (of: 'share_by_count' | 'share_by_balance') => {
      const empty = row.some((cell) => cell[of] !== null) ? '0.000000' : null
      return at.map((cell) => cell?.[of] ?? empty)
    }
    return {
      state,
      loan_count: total?.row_count ?? 0,
      balance: total?.row_balance ?? nothing,
      gone_count: row.find(({ became }) => became === null)?.loan_count ?? 0,
      counts: at.map((cell) => cell?.loan_count ?? 0),
      balances: at.map((cell) => cell?.balance ?? nothing),
      shares_by_count: share('share_by_count'),
      shares_by_balance: share('share_by_balance'),
    }
  })
}

/** The loans in no row, by why. */
const outsideOf = (cells: readonly Cell[]): Record<string, Aside> =>
  Object.fromEntries(
    cells
      .filter(({ was, outside }) => was === null && outside !== null)
      .map(({ outside, row_count, row_balance }) => [outside, { loan_count: row_count, balance: row_balance }]),
  )

/** Everything that the answer shows of the cells, period by period and over all of them. */
export function migrationsOf(
  cells: readonly Cell[],
  periods: readonly Period[],
  known: States,
  nothing: string | null,
) {
  const states = statesOf(cells, known)
  const average = matrixOf(
    cells.filter(({ opened }) => opened === null),
    states,
    nothing,
  )
  return {
    states: [...states.columns, ...(states.gone === undefined ? [] : [states.gone])],
    periods: periods.map(({ from, to }) => {
      const own = cells.filter(({ opened }) => opened === from)
      return { from, to, rows: matrixOf(own, states, nothing), outside: outsideOf(own) }
    }),
    average,
    loan_count: average.reduce((total, { loan_count }) => total + loan_count, 0),
  }
}
