import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { readTable } from '../../../helpers/csv.ts'
import { importCsv } from '../../../helpers/imports.ts'

const folder = join(import.meta.dirname, '../../../../src/demo')
const file = await readFile(join(folder, 'sba-loans-5000.csv'))
const mapping = JSON.parse(await readFile(join(folder, 'sba-mapping.json'), 'utf8'))

type Day = { year: number; month: number; day: number }
type Loan = {
  originated: Day
  chargedOff: Day | undefined
  principal: bigint
  loss: bigint
  defaulted: boolean
  happenedAt: number
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `2/28/1999` */
function slashed(text: string): Day {
  const [month, day, year] = text.split('/').map(Number) as [number, number, number]
  return { year, month, day }
}

/** `24-Jun-91` */
function dashed(text: string): Day {
  const [day, month, year] = text.split('-') as [string, string, string]
  return { year: Number(year) + (Number(year) < 70 ? 2000 : 1900), month: months.indexOf(month) + 1, day: Number(day) }
}

const order = ({ year, month, day }: Day) => year * 10_000 + month * 100 + day
const lengthOf = (year: number, month: number) => new Date(Date.UTC(year, month, 0)).getUTCDate()

/** The same day so many months later, or the month's last. */
function later({ year, month, day }: Day, count: number): Day {
  const at = year * 12 + month - 1 + count
  const [then, inMonth] = [Math.floor(at / 12), (at % 12) + 1]
  return { year: then, month: inMonth, day: Math.min(day, lengthOf(then, inMonth)) }
}

/** By counting: how many months a loan was old when the day came. */
function ageOn(originated: Day, day: Day): number {
  let age = 0
  while (order(later(originated, age)) < order(day)) age++
  return age
}

function loanOf(row: Record<string, string>): Loan {
  const originated = slashed(row.DisbursementDate as string)
  const chargedOff = row.ChgOffDate?.trim() ? dashed(row.ChgOffDate) : undefined
  return {
    originated,
    chargedOff,
    principal: BigInt(row.DisbursementGross as string),
    loss: BigInt(row.ChgOffPrinGr as string),
    defaulted: row.MIS_Status === 'CHGOFF',
    happenedAt: chargedOff === undefined ? Number.POSITIVE_INFINITY : ageOn(originated, chargedOff),
  }
}

const loans = readTable(file.toString())
  .filter((row) => row.MIS_Status?.trim() && row.DisbursementDate?.trim())
  .map(loanOf)

/** Numerator ÷ denominator with six places, rounded half up, without a float. */
function share(numerator: bigint, denominator: bigint): string {
  const millionths = (numerator * 2_000_000n + denominator) / (denominator * 2n)
  return `${millionths / 1_000_000n}.${String(millionths % 1_000_000n).padStart(6, '0')}`
}

/** What counts: whether it happened to a loan, what it weighs, and what the cohort weighs. */
type Figure = { happened: (loan: Loan) => boolean; weight: (loan: Loan) => bigint; size: (loan: Loan) => bigint }

const figures: Record<string, Figure> = {
  'measure=default&basis=count': { happened: ({ defaulted }) => defaulted, weight: () => 1n, size: () => 1n },
  'measure=default&basis=balance': {
    happened: ({ defaulted }) => defaulted,
    weight: ({ principal }) => principal,
    size: ({ principal }) => principal,
  },
  'measure=loss&basis=balance': {
    happened: ({ loss }) => loss !== 0n,
    weight: ({ loss }) => loss,
    size: ({ principal }) => principal,
  },
}

const add = (of: Loan[], value: (loan: Loan) => bigint) => of.reduce((total, loan) => total + value(loan), 0n)

function curvesOf(name: (loan: Loan) => string, ages: number[], observed: Day, { happened, weight, size }: Figure) {
  return Object.entries(Object.groupBy(loans, name) as Record<string, Loan[]>)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([cohort, members]) => {
      const hit = members.filter(happened)
      const dated = hit.filter(({ chargedOff }) => chargedOff !== undefined)
      const total = add(members, size)
      const cell = (age: number) => {
        const mature = members.every(({ originated }) => order(later(originated, age)) <= order(observed))
        if (!mature || total === 0n) return null
        const by = dated.filter(({ happenedAt }) => happenedAt <= age)
        return share(add(by, weight), total)
      }
      return {
        cohort,
        loan_count: members.length,
        original_principal: `${add(members, ({ principal }) => principal)}.0000`,
        event_count: hit.length,
        undated: hit.length - dated.length,
        before_origination: dated.filter(({ originated, chargedOff }) => order(chargedOff as Day) < order(originated))
          .length,
        curve: ages.map(cell),
      }
    })
}

const year = ({ originated }: Loan) => String(originated.year)
const quarter = ({ originated }: Loan) => `${originated.year}-Q${Math.ceil(originated.month / 3)}`

test('the vintages of the SBA tape are what counting through its CSV gives', async ({ owner }) => {
  const { id } = await newPortfolio(owner, { as_of: '2008-06-30' })
  expect((await importCsv(owner, id, file, { mapping, on_error: 'skip' })).status).toBe(201)
  const observed = { year: 2008, month: 6, day: 30 }
  const cases = [
    ...Object.keys(figures).map((figure) => [figure, 'year', 12, year] as const),
    ['measure=default&basis=count', 'quarter', 3, quarter] as const,
  ]
  for (const [figure, cohort, step, name] of cases) {
    const path = `/portfolios/${id}/vintages?${figure}&cohort=${cohort}&step=${step}&months_max=240`
    const { status, body } = await owner.get(path)
    expect(status, JSON.stringify(body)).toBe(200)
    const expected = curvesOf(name, body.months, observed, figures[figure] as Figure)
    const shown = body.cohorts.map(({ marginal: _, months_observed: __, ...rest }: Record<string, unknown>) => rest)
    expect(shown, path).toEqual(expected)
    expect(body.loan_count).toBe(4_976)
  }
  // That something was compared: mature and immature cells, and the oddities of the tape.
  const all = curvesOf(year, [24, 48, 72, 96, 120, 240], observed, figures['measure=default&basis=count'] as Figure)
  const cells = all.flatMap(({ curve }) => curve)
  expect(cells.filter((cell) => cell === null).length).toBeGreaterThan(5)
  expect(cells.filter((cell) => cell !== null && cell !== '0.000000').length).toBeGreaterThan(20)
})
