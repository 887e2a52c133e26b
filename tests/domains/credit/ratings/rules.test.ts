import { describe, expect, test } from 'vitest'
import type { Grade } from '../../../../src/db/tables/credit.ts'
import {
  checkAction,
  checkGrade,
  corrected,
  differences,
  pdOf,
  placed,
  type RatingState,
  removed,
} from '../../../../src/domains/credit/ratings/rules.ts'

const grades: Grade[] = [
  { grade: 'A', ordinal: 1, pd: '0.001', is_default: false },
  { grade: 'B', ordinal: 2, pd: null, is_default: false },
  { grade: 'C', ordinal: 3, pd: '0.1', is_default: false },
  { grade: 'D', ordinal: 4, pd: '1', is_default: true },
]

/** Places ratings in turn: `[grade, first day, end]`; the first day is also the id. */
const historyOf = (...ratings: [string | null, string, string?][]): RatingState[] =>
  ratings.reduce<RatingState[]>(
    (history, [grade, effective_from, effective_to]) =>
      placed(history, { id: effective_from, grade, effective_from, effective_to }, grades),
    [],
  )

/** `A 2020-01-01..2021-01-01 assign`. */
const told = (history: RatingState[]) =>
  history.map(
    ({ grade, action, effective_from, effective_to }) => `${grade} ${effective_from}..${effective_to} ${action}`,
  )

const codeOf = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'allowed'
}

describe('a new rating', () => {
  test('closes the one before on its first day, and its action follows from the two grades', () => {
    const history = historyOf(['B', '2020-01-01'], ['A', '2021-01-01'], ['A', '2022-01-01'], ['C', '2023-01-01'])
    expect(told(history)).toEqual([
      'B 2020-01-01..2021-01-01 assign',
      'A 2021-01-01..2022-01-01 upgrade',
      'A 2022-01-01..2023-01-01 affirm',
      'C 2023-01-01..null downgrade',
    ])
  })

  test('that is backdated is put between, and only its neighbours change', () => {
    const before = historyOf(['B', '2020-01-01'], ['A', '2021-01-01'], ['B', '2023-01-01'], ['C', '2024-01-01'])
    const after = placed(before, { id: 'new', grade: 'C', effective_from: '2022-01-01' }, grades)
    expect(told(after)).toEqual([
      'B 2020-01-01..2021-01-01 assign',
      'A 2021-01-01..2022-01-01 upgrade',
      'C 2022-01-01..2023-01-01 downgrade',
      'B 2023-01-01..2024-01-01 upgrade',
      'C 2024-01-01..null downgrade',
    ])
    expect(differences(before, after)).toEqual([
      { id: '2021-01-01', changed: { effective_to: '2022-01-01' } },
      { id: '2023-01-01', changed: { action: 'upgrade' } },
    ])
  })

  test('that is backdated before the first one becomes the first', () => {
    const history = historyOf(['A', '2021-01-01'], ['C', '2020-01-01'])
    expect(told(history)).toEqual(['C 2020-01-01..2021-01-01 assign', 'A 2021-01-01..null upgrade'])
  })

  test('may end by itself, and the one after the gap is an assignment', () => {
    const history = historyOf(['A', '2020-01-01', '2020-07-01'], ['B', '2021-01-01'])
    expect(told(history)).toEqual(['A 2020-01-01..2020-07-01 assign', 'B 2021-01-01..null assign'])
  })

  test('that ends inside another interrupts it for good', () => {
    const history = historyOf(['A', '2020-01-01'], ['B', '2022-01-01'], ['C', '2020-06-01', '2020-07-01'])
    expect(told(history)).toEqual([
      'A 2020-01-01..2020-06-01 assign',
      'C 2020-06-01..2020-07-01 downgrade',
      'B 2022-01-01..null assign',
    ])
  })

  test('never overlaps another: the same day, or an end behind the next beginning, is refused', () => {
    const history = historyOf(['A', '2020-01-01'], ['B', '2021-01-01'])
    const place = (effective_from: string, effective_to?: string) =>
      codeOf(() => placed(history, { id: 'new', grade: 'A', effective_from, effective_to }, grades))
    expect(place('2021-01-01')).toBe('rating_overlap')
    expect(place('2020-06-01', '2021-01-02')).toBe('rating_overlap')
    expect(place('2020-06-01', '2021-01-01')).toBe('allowed')
    expect(place('2020-06-01', '2020-06-01')).toBe('validation_failed')
  })
})

describe('default', () => {
  const history = historyOf(['A', '2020-01-01'], ['D', '2021-01-01'])

  test('is absorbing: nothing but a withdrawal follows, not even the same grade', () => {
    const place = (grade: string | null, effective_from = '2022-01-01') =>
      codeOf(() => placed(history, { id: 'new', grade, effective_from }, grades))
    expect([place('A'), place('D'), place(null)]).toEqual(['rating_after_default', 'rating_after_default', 'allowed'])
  })

  test('cannot be put before another rating', () => {
    expect(codeOf(() => placed(history, { id: 'new', grade: 'D', effective_from: '2020-06-01' }, grades))).toBe(
      'rating_after_default',
    )
  })

  test('may be withdrawn and the loan rated anew', () => {
    expect(told(historyOf(['D', '2021-01-01'], [null, '2022-01-01'], ['B', '2023-01-01']))).toEqual([
      'D 2021-01-01..2022-01-01 assign',
      'null 2022-01-01..2023-01-01 withdraw',
      'B 2023-01-01..null assign',
    ])
  })
})

describe('a withdrawal', () => {
  test('needs a rating to withdraw', () => {
    expect(codeOf(() => historyOf([null, '2020-01-01']))).toBe('rating_action_mismatch')
    expect(codeOf(() => historyOf(['A', '2020-01-01'], [null, '2021-01-01'], [null, '2022-01-01']))).toBe(
      'rating_action_mismatch',
    )
  })

  test('is explicit: no grade without it, and no grade with it', () => {
    expect(codeOf(() => checkGrade(null, undefined, grades))).toBe('rating_action_mismatch')
    expect(codeOf(() => checkGrade(null, 'assign', grades))).toBe('rating_action_mismatch')
    expect(codeOf(() => checkGrade('A', 'withdraw', grades))).toBe('rating_action_mismatch')
    expect(codeOf(() => checkGrade(null, 'withdraw', grades))).toBe('allowed')
  })
})

test('a grade must be one of the scale, and its PD is the default', () => {
  expect(codeOf(() => checkGrade('AAA', undefined, grades))).toBe('unknown_grade')
  expect(codeOf(() => checkGrade('a', undefined, grades))).toBe('unknown_grade')
  expect([pdOf('C', grades), pdOf('B', grades), pdOf(null, grades)]).toEqual(['0.1', null, null])
})

test('a stated action must be the one that follows from the history', () => {
  const [first, second] = historyOf(['A', '2020-01-01'], ['C', '2021-01-01']) as [RatingState, RatingState]
  expect(codeOf(() => checkAction('downgrade', second, first))).toBe('allowed')
  expect(codeOf(() => checkAction(undefined, second, first))).toBe('allowed')
  for (const action of ['assign', 'upgrade', 'affirm'])
    expect(codeOf(() => checkAction(action, second, first))).toBe('rating_action_mismatch')
})

describe('what is taken out', () => {
  const history = historyOf(['A', '2020-01-01'], ['C', '2021-01-01'], ['B', '2022-01-01'])

  test('gives its time to the one before, and the one after follows from that', () => {
    expect(told(removed(history, '2021-01-01', grades))).toEqual([
      'A 2020-01-01..2022-01-01 assign',
      'B 2022-01-01..null downgrade',
    ])
  })

  test('as the last one leaves the one before open', () => {
    expect(told(removed(history, '2022-01-01', grades)).at(-1)).toBe('C 2021-01-01..null downgrade')
  })

  test('must leave what can stand', () => {
    const withdrawn = historyOf(['D', '2020-01-01'], [null, '2021-01-01'], ['B', '2022-01-01'])
    expect(codeOf(() => removed(withdrawn, '2021-01-01', grades))).toBe('rating_after_default')
    expect(codeOf(() => removed(withdrawn, '2020-01-01', grades))).toBe('rating_action_mismatch')
  })
})

describe('a correction', () => {
  const history = historyOf(['A', '2020-01-01'], ['C', '2021-01-01'], ['B', '2022-01-01'], ['B', '2023-01-01'])

  test('of the grade changes its action and the next one', () => {
    const after = corrected(history, '2021-01-01', { grade: 'A' }, grades)
    expect(differences(history, after)).toEqual([
      { id: '2021-01-01', changed: { action: 'affirm' } },
      { id: '2022-01-01', changed: { action: 'downgrade' } },
    ])
  })

  test('of the first day moves the border to the one before, or past others', () => {
    expect(told(corrected(history, '2021-01-01', { effective_from: '2021-06-01' }, grades)).slice(0, 2)).toEqual([
      'A 2020-01-01..2021-06-01 assign',
      'C 2021-06-01..2022-01-01 downgrade',
    ])
    expect(told(corrected(history, '2021-01-01', { effective_from: '2022-06-01' }, grades))).toEqual([
      'A 2020-01-01..2022-01-01 assign',
      'B 2022-01-01..2022-06-01 downgrade',
      'C 2022-06-01..2023-01-01 downgrade',
      'B 2023-01-01..null upgrade',
    ])
    expect(codeOf(() => corrected(history, '2021-01-01', { effective_from: '2022-01-01' }, grades))).toBe(
      'rating_overlap',
    )
  })

  test('keeps an end of its own', () => {
    const lapsed = historyOf(['A', '2020-01-01', '2020-07-01'], ['B', '2021-01-01'])
    expect(told(corrected(lapsed, '2020-01-01', { grade: 'C' }, grades))[0]).toBe('C 2020-01-01..2020-07-01 assign')
  })
})
