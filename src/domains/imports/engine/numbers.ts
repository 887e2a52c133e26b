/** How a file writes its numbers. */
export type NumberFormat = {
  /** A point unless told. */
  decimal?: '.' | ','
  /** None unless told. */
  thousands?: ',' | '.' | ' ' | "'"
  /** A currency sign or code before or after the number is left out. */
  currency_signs?: boolean
  /** A number in parentheses is negative. */
  parentheses?: boolean
  /** The number is in hundredths, with a percent sign or without. */
  percent?: boolean
}

/** Reads a number as the API writes it: `-1234.50`; undefined where the text is written in another way. */
export type ReadNumber = (text: string) => string | undefined

/** Longer than any number that a field can hold, however it is written. */
const lengthMax = 60

const digits = /^[0-9]+$/
const signBefore = /^(?:[A-Z]{0,3}\p{Sc}|[A-Z]{3})/u
const signAfter = /(?:\p{Sc}|[A-Z]{3})$/u
const spaces = /[\u00a0\u2007\u2009\u202f]/g
const apostrophes = /\u2019/g

/** Compiles a number format. All is done on the text, so that no digit is lost or made up. */
export function compileNumberFormat(format: NumberFormat): ReadNumber {
  const { decimal = '.', thousands, percent = false } = format
  return (text) => {
    const bare = text.length > lengthMax ? undefined : unwrap(text, format)
    if (bare === undefined) return undefined
    const [whole = '', fraction, ...more] = bare.number.split(decimal)
    const joined = thousands === undefined ? whole : ungroup(whole, thousands)
    if (more.length > 0 || joined === undefined || (fraction !== undefined && !digits.test(fraction))) return undefined
    if (!digits.test(joined) && (joined !== '' || fraction === undefined)) return undefined
    const number = percent ? hundredth(joined, fraction) : `${joined || '0'}${fraction ? `.${fraction}` : ''}`
    return bare.negative && /[1-9]/.test(number) ? `-${number}` : number
  }
}

/** The digits and marks alone; undefined where something else stands around them. */
function unwrap(text: string, { currency_signs, parentheses, percent, thousands }: NumberFormat) {
  let number = text.trim()
  let negative = false
  // Twice, for the sign may stand within the parentheses or around them.
  for (let pass = 0; pass < 2; pass++) {
    if (/^[-\u2212]/.test(number)) {
      if (negative) return undefined
      negative = true
      number = number.slice(1).trim()
    }
    if (parentheses && number.startsWith('(') && number.endsWith(')')) {
      if (negative) return undefined
      negative = true
      number = number.slice(1, -1).trim()
    }
    if (currency_signs) number = number.replace(signBefore, '').replace(signAfter, '').trim()
    if (percent && number.endsWith('%')) number = number.slice(0, -1).trim()
  }
  if (thousands === ' ') number = number.replaceAll(spaces, ' ')
  if (thousands === "'") number = number.replaceAll(apostrophes, "'")
  return { number, negative }
}

/** Takes the marks out of `1,234,567`, or of `12,34,567` as India writes it; undefined where they stand elsewhere. */
function ungroup(whole: string, mark: string): string | undefined {
  const groups = whole.split(mark)
  if (groups.length === 1) return whole
  const fits = groups.every(({ length }, at) =>
    at === 0 ? length >= 1 && length <= 3 : at === groups.length - 1 ? length === 3 : length === 2 || length === 3,
  )
  return fits ? groups.join('') : undefined
}

/** A hundredth of a number: `5.25` is `0.0525`. */
function hundredth(whole: string, fraction = ''): string {
  const padded = whole.padStart(3, '0')
  const decimals = `${padded.slice(-2)}${fraction}`
  const ones = padded.slice(0, -2).replace(/^0+(?=[0-9])/, '')
  let end = decimals.length
  while (decimals[end - 1] === '0') end--
  return end === 0 ? ones : `${ones}.${decimals.slice(0, end)}`
}
