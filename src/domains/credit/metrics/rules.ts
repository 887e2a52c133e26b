/** How a figure is written: amounts have 4 places and are in the portfolio's currency, the others 6; counts are whole. */
export type Unit = 'amount' | 'share' | 'rate' | 'months' | 'count' | 'index'

export type Formula = {
  formula: string
  unit: Unit
  source: string
  /** Edge cases and choices. */
  note?: string
  /** The formula version that brought or last changed it. */
  version: number
}

/**
 * Raised when a formula changes.
 *
 * - 1: amounts, rates of default and loss, WAC, WAM
 * - 2: those as they were, now also of a reporting date and as known at a time, but WAM counts months to the ends of shorter
 *   ones; new are age, PD, LGD, exposure, expected loss, delinquency, non-performing loans, recovery and concentration
 */
export const formulaVersion = 2

const finrep = 'EBA ITS on supervisory reporting (FINREP, Regulation (EU) 2021/451, Annex V)'
const npl = 'EBA NPL transaction data templates (Regulation (EU) 2023/2083)'
const abs = 'ABS pool reporting (SEC Regulation AB, 17 CFR 229.1111), weighted by current balance'
const irb = 'Basel framework CRE32, risk components; CRE35, expected losses'
const ifrs = 'IFRS 9 5.5.3 and 5.5.5; stages by the presumptions of 5.5.11 and B5.5.37'
const par = 'CGAP, Microfinance Consensus Guidelines (2003); MIX'
const hhi = 'Herfindahl–Hirschman; BCBS working paper 15 (2006)'
const groups = 'groups of connected clients as in Basel LEX10'

const weighed = (value: string) => `Σ balance × ${value} ÷ Σ balance`
const stating = (value: string) => `over the loans that state ${value}`
const months =
  'whole months, 31 January to the last of February being one, never below 0; from or to the reference date'
const known = 'over the loans whose PDs and LGD the formula needs are known; null where there is none'
const parNote = 'unknown days past due count as none'
const positive = 'balances not above 0 have no share'

/** Every figure: its formula, where that comes from, and its edge cases. The wire models and the documentation quote it. */
export const formulas = {
  balance: {
    formula: 'Σ balance',
    unit: 'amount',
    source: `gross carrying amount, ${finrep}`,
    note: 'unknown counts as 0',
    version: 1,
  },
  original_principal: { formula: 'Σ original_principal', unit: 'amount', source: npl, version: 1 },
  commitment: { formula: 'Σ commitment', unit: 'amount', source: finrep, note: 'unknown counts as 0', version: 2 },
  charged_off_amount: {
    formula: 'Σ charged_off_amount',
    unit: 'amount',
    source: npl,
    note: 'unknown counts as 0',
    version: 1,
  },
  recovered_amount: {
    formula: 'Σ recovered_amount',
    unit: 'amount',
    source: npl,
    note: 'unknown counts as 0',
    version: 1,
  },
  weighted_average_rate: {
    formula: weighed('interest_rate'),
    unit: 'rate',
    source: `WAC, ${abs}`,
    note: stating('a rate'),
    version: 1,
  },
  weighted_average_remaining_months: {
    formula: weighed('months from the reference date to matures_on'),
    unit: 'months',
    source: `WAM, ${abs}`,
    note: `${stating('a maturity')}; ${months}`,
    version: 2,
  },
  weighted_average_age_months: {
    formula: weighed('months from originated_on to the reference date'),
    unit: 'months',
    source: `WALA, ${abs}`,
    note: months,
    version: 2,
  },
  weighted_average_pd_12m: { formula: weighed('pd_12m'), unit: 'rate', source: irb, note: stating('it'), version: 2 },
  weighted_average_pd_lifetime: {
    formula: weighed('pd_lifetime'),
    unit: 'rate',
    source: ifrs,
    note: stating('it'),
    version: 2,
  },
  weighted_average_lgd: { formula: weighed('lgd'), unit: 'rate', source: irb, note: stating('it'), version: 2 },
  ead: {
    formula: 'Σ (drawn + ccf × undrawn), drawn = max(balance, 0), undrawn = max(commitment − drawn, 0)',
    unit: 'amount',
    source: 'Basel framework CRE32 (exposure at default), CRE20 (off-balance sheet items)',
    note: 'an unknown ccf is 1, the most cautious; a loan that is charged off, paid, prepaid or sold has nothing undrawn',
    version: 2,
  },
  el_12m: { formula: 'Σ pd_12m × lgd × EAD', unit: 'amount', source: irb, note: known, version: 2 },
  el_lifetime: {
    formula: 'Σ pd_lifetime × lgd × EAD',
    unit: 'amount',
    source: irb,
    note: `${known}; in stage 3 an unknown pd_lifetime is 1`,
    version: 2,
  },
  expected_loss: {
    formula: 'Σ pd × lgd × EAD, pd = pd_12m in stage 1, pd_lifetime in stages 2 and 3',
    unit: 'amount',
    source: ifrs,
    note: `${known}; in stage 3 an unknown pd_lifetime is 1; an unknown stage is 3 in default, 2 more than 30 days past due, else 1; not discounted`,
    version: 2,
  },
  expected_loss_ead_share: {
    formula: 'EAD of the loans that expected_loss covers ÷ EAD',
    unit: 'share',
    source: 'Tenon',
    note: 'below 1 expected_loss leaves loans out',
    version: 2,
  },
  delinquency: {
    formula:
      'count, balance and share of balance by days_past_due, in buckets that begin at the portfolio’s bucket_edges',
    unit: 'share',
    source: npl,
    note: 'unknown days past due are a bucket of their own',
    version: 2,
  },
  past_due_amount: {
    formula: 'Σ past_due_amount',
    unit: 'amount',
    source: npl,
    note: 'unknown counts as 0',
    version: 2,
  },
  par_30: {
    formula: 'Σ balance of loans more than 30 days past due ÷ Σ balance',
    unit: 'share',
    source: par,
    note: parNote,
    version: 2,
  },
  par_60: {
    formula: 'Σ balance of loans more than 60 days past due ÷ Σ balance',
    unit: 'share',
    source: par,
    note: parNote,
    version: 2,
  },
  par_90: {
    formula: 'Σ balance of loans more than 90 days past due ÷ Σ balance',
    unit: 'share',
    source: par,
    note: parNote,
    version: 2,
  },
  npl_balance: {
    formula: 'Σ balance of loans in default or in stage 3',
    unit: 'amount',
    source: `${finrep}, part 2, 213`,
    note: 'default by the portfolio’s default_definition',
    version: 2,
  },
  npl_ratio: { formula: 'npl_balance ÷ Σ balance', unit: 'share', source: `${finrep}, part 2, 213`, version: 2 },
  default_rate: {
    formula: 'loans in default ÷ loans: by count, by balance and by original_principal',
    unit: 'share',
    source: 'EBA/GL/2016/07, definition of default (CRR Article 178)',
    note: 'default by the portfolio’s default_definition; by_balance is new in 2',
    version: 2,
  },
  loss_rate: {
    formula: '(Σ charged_off_amount − Σ recovered_amount) ÷ Σ original_principal',
    unit: 'share',
    source: npl,
    note: 'above 1 where more was charged off than lent',
    version: 1,
  },
  recovery_rate: { formula: 'Σ recovered_amount ÷ Σ charged_off_amount', unit: 'share', source: npl, version: 2 },
  coverage: {
    formula: 'expected_loss ÷ Σ balance of the stage',
    unit: 'share',
    source: `${ifrs}; ${finrep}`,
    note: 'null where the expected loss or the balance is unknown',
    version: 2,
  },
  top_borrowers: {
    formula: 'Σ balance by borrower_group, or borrower_name without one; share of the sum over borrowers',
    unit: 'share',
    source: groups,
    note: positive,
    version: 2,
  },
  hhi: {
    formula: 'Σ share², 0 to 1',
    unit: 'index',
    source: hhi,
    note: `${positive}; what is unknown is one segment`,
    version: 2,
  },
  hhi_10000: {
    formula: 'hhi × 10,000',
    unit: 'index',
    source: `${hhi}; the scale of competition authorities`,
    version: 2,
  },
  effective_number: {
    formula: '1 ÷ hhi',
    unit: 'index',
    source: hhi,
    note: 'as many segments of equal size are as concentrated',
    version: 2,
  },
  gini: {
    formula: '2 × Σ rank × balance ÷ (n × Σ balance) − (n + 1) ÷ n, ranked upwards',
    unit: 'index',
    source: 'Gini (1912), from the Lorenz curve',
    note: positive,
    version: 2,
  },
  cumulative_share: {
    formula: 'Σ share of this and every larger segment',
    unit: 'share',
    source: 'concentration ratio CR(n)',
    note: positive,
    version: 2,
  },
} as const satisfies Record<string, Formula>

export type FormulaName = keyof typeof formulas

/** The sentence by which a wire model describes a figure. */
export function describe(name: FormulaName): string {
  const { formula, source, note, unit }: Formula = formulas[name]
  const places = unit === 'amount' ? '4 places' : '6 places, null where the denominator is 0'
  return `${formula} (${source})${note ? `; ${note}` : ''}; decimal with ${places}`
}

/** Days past due from one day to another, both included; both null where they are unknown. */
export type Bucket = { name: string; from: number | null; to: number | null }

/**
 * The delinquency buckets of a portfolio, each of them, also where no loan is in it.
 * @param edges days past due at which a bucket begins, ascending; what is before the first is a bucket, too
 * @param found what is in them, `bucket` being the number of edges reached, null for unknown days past due
 * @param none what an empty one holds
 */
export function bucketsOf<T extends object>(
  edges: readonly number[],
  found: readonly (T & { bucket: number | null })[],
  none: T,
): (Bucket & T)[] {
  const contentOf = (index: number | null): T => {
    const { bucket: _, ...content } = found.find(({ bucket }) => bucket === index) ?? { bucket: index, ...none }
    return content as unknown as T
  }
  const named = [0, ...edges].map((from, index) => {
    const to = index < edges.length ? (edges[index] as number) - 1 : null
    const name = to === null ? `${from}+` : to === from ? `${from}` : `${from}-${to}`
    return { name, from, to, ...contentOf(index) }
  })
  return [...named, { name: 'unknown', from: null, to: null, ...contentOf(null) }]
}

/** The share that nothing has of a whole: none where the whole is 0. */
export const noShare = (whole: string | number): string | null => (Number(whole) === 0 ? null : '0.000000')

/** The table of formulas as it is answered. */
export const formulaTable = () => ({
  formula_version: formulaVersion,
  formulas: Object.entries<Formula>(formulas).map(([name, { note = null, ...formula }]) => ({
    name: name as FormulaName,
    ...formula,
    note,
  })),
})
