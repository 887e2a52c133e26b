/** What the abbreviations in the names of columns stand for. */
const abbreviations: Readonly<Record<string, string>> = {
  ...{ nr: 'number', no: 'number', num: 'number', nbr: 'number', nmbr: 'number', id: 'id', ident: 'identifier' },
  ...{ dt: 'date', dte: 'date', amt: 'amount', amnt: 'amount', amntt: 'amount', bal: 'balance', prin: 'principal' },
  ...{ prncp: 'principal', princ: 'principal', gr: 'gross', chg: 'charge', chrg: 'charge', chargeoff: 'charge off' },
  ...{ chargedoff: 'charged off', chgoff: 'charge off', chk: 'check', dgt: 'digit', orig: 'original', int: 'interest' },
  ...{ curr: 'current', ccy: 'currency', cur: 'current', cust: 'customer', cntpty: 'counterparty', mat: 'maturity' },
  ...{ mths: 'months', mos: 'months', pct: 'percentage', perc: 'percentage', pmt: 'payment', freq: 'frequency' },
  ...{ outst: 'outstanding', os: 'outstanding', cd: 'code', typ: 'type', stat: 'status', org: 'original' },
  ...{ disb: 'disbursement', disbursal: 'disbursement', recov: 'recovered', addr: 'address', val: 'value' },
}

/** The words of a column's name in lower case, abbreviations spelt out: `ChgOffPrinGr` is charge off principal gross. */
export function wordsOf(name: string): string[] {
  const parted = name
    .slice(0, 200)
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
  const words = parted.toLowerCase().match(/[\p{L}0-9]+/gu) ?? []
  return words.flatMap((word) =>
    Object.hasOwn(abbreviations, word) ? (abbreviations[word] as string).split(' ') : word,
  )
}

/**
 * How well a column's name says that it is what a field is called, from 0 to 1.
 * @param known what the field is called, the likeliest first
 */
export function likeness(column: readonly string[], known: readonly (readonly string[])[]): number {
  return Math.max(0, ...known.map((words, rank) => likenessOf(column, words) * Math.max(0.8, 1 - rank / 200)))
}

function likenessOf(column: readonly string[], known: readonly string[]): number {
  if (known.length === 0 || column.length === 0) return 0
  if (column.join('') === known.join('')) return 1
  const share = Math.min(column.length, known.length) / Math.max(column.length, known.length)
  if (known.every((word) => column.includes(word))) return (known.length === 1 ? 0.3 : 0.55) + 0.3 * share
  return column.every((word) => known.includes(word)) ? 0.3 + 0.2 * share : 0
}
