import { maturityOf } from '../../src/domains/credit/loans/rules.ts'

/** The columns of a generated tape, under the names that the API knows, so that it needs no mapping. */
export const tapeColumns = [
  ...['loan_number', 'borrower_name', 'product', 'sector', 'country', 'state', 'currency', 'originated_on'],
  ...['term_months', 'matures_on', 'original_principal', 'balance', 'interest_rate', 'rate_type', 'amortization'],
  ...['status', 'days_past_due', 'stage', 'pd_12m', 'lgd'],
]

const numeric = new Set(['term_months', 'days_past_due', 'stage'])

const products = ['Term loan', 'Revolver', 'Equipment', 'Mortgage']
const states = ['CA', 'TX', 'NY', 'FL', 'OH', 'WA', 'GA', 'IL']
const terms = [36, 60, 84, 120, 240, 360]
const rateTypes = ['fixed', 'floating']
const amortizations = ['annuity', 'linear', 'bullet']
const statuses = ['current', 'current', 'current', 'current', 'delinquent', 'charged_off', 'paid', 'paid']
const days = Array.from({ length: 3_650 }, (_, day) => new Date(Date.UTC(2014, 0, 1 + day)).toISOString().slice(0, 10))

const pick = <T>(from: readonly T[], random: number): T => from[random % from.length] as T

/** The same 32 bits for the same numbers, and as good as random. */
function hash(index: number, salt: number): number {
  let value = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(salt + 1, 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 16), 0x7feb352d)
  value = Math.imul(value ^ (value >>> 15), 0x846ca68b)
  return (value ^ (value >>> 16)) >>> 0
}

/** The loan of this index, the same in every run, as one CSV line without its end. */
function tapeLine(index: number, loanNumber = `L${String(index).padStart(8, '0')}`): string {
  const [a, b, c] = [hash(index, 1), hash(index, 2), hash(index, 3)]
  const originated = pick(days, a)
  const term = pick(terms, b)
  const cents = 500_000 + (c % 99_500_000)
  const status = pick(statuses, a >>> 12)
  const left = status === 'paid' || status === 'charged_off' ? 0 : Math.floor((cents * (b % 1_000)) / 1_000)
  return [
    ...[loanNumber, `Borrower ${c % 400_000}`, pick(products, b >>> 4), 110_000 + (c % 880_000), 'US'],
    ...[pick(states, a >>> 8), 'USD', originated, term, maturityOf(originated, term)],
    ...[(cents / 100).toFixed(2), (left / 100).toFixed(2), `0.0${200 + (b % 800)}`],
    ...[pick(rateTypes, a >>> 4), pick(amortizations, c >>> 3), status, status === 'delinquent' ? 30 + (a % 60) : 0],
    ...[status === 'delinquent' ? 2 : 1, `0.0${100 + (a % 900)}`, `0.${30 + (c % 40)}`],
  ].join(',')
}

/** The same loan as the body of a POST. */
export function loanBody(index: number, loanNumber: string): Record<string, string | number> {
  const cells = tapeLine(index, loanNumber).split(',')
  return Object.fromEntries(
    tapeColumns.map((name, at) => [name, numeric.has(name) ? Number(cells[at]) : (cells[at] as string)]),
  )
}

const linesInChunk = 2_000

/**
 * A tape in chunks of some hundred kilobytes.
 * @param prefix columns before the tape's own, and their cells for each loan; a tape without has a header
 */
export function* tapeChunks(count: number, prefix?: (index: number) => string): Generator<string> {
  if (prefix === undefined) yield `${tapeColumns.join(',')}\n`
  for (let from = 0; from < count; from += linesInChunk) {
    const lines = Array.from({ length: Math.min(linesInChunk, count - from) }, (_, at) => from + at)
    yield `${lines.map((index) => (prefix ? `${prefix(index)},` : '') + tapeLine(index)).join('\n')}\n`
  }
}
