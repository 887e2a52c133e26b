const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** Two-digit years from here on are of the twentieth century. */
const pivot = 70

type Part = 'year' | 'month' | 'day'
type Step = { part: Part; read: 'digits' | 'name'; min: number; max: number } | { literal: string }

const steps: Record<string, Step> = {
  YYYY: { part: 'year', read: 'digits', min: 4, max: 4 },
  YY: { part: 'year', read: 'digits', min: 2, max: 2 },
  MMM: { part: 'month', read: 'name', min: 3, max: 3 },
  MM: { part: 'month', read: 'digits', min: 2, max: 2 },
  M: { part: 'month', read: 'digits', min: 1, max: 2 },
  DD: { part: 'day', read: 'digits', min: 2, max: 2 },
  D: { part: 'day', read: 'digits', min: 1, max: 2 },
}

/** ISO 8601. */
export const isoFormat = 'YYYY-MM-DD'

/** Reads a date: `YYYY-MM-DD`, or undefined where the text has another form or the calendar no such day. */
export type ReadDate = (text: string) => string | undefined

/**
 * Compiles a date format: YYYY or YY (70–99 are 19YY, the others 20YY), MMM (English, any case), MM or M, DD or D, each
 * part once, with `-`, `/`, `.`, `,` or spaces between. M and D take one digit or two, so a separator must follow them.
 * @returns undefined when the format is none
 */
export function compileDateFormat(format: string): ReadDate | undefined {
  const tokens = format.match(/Y+|M+|D+|[-/., ]|./gs) ?? []
  const compiled = tokens.map((token): Step | undefined =>
    /^[-/., ]$/.test(token) ? { literal: token } : steps[token],
  )
  if (!isComplete(compiled)) return undefined
  const ambiguous = compiled.some((step, at) => {
    const next = compiled[at + 1]
    return 'part' in step && step.min !== step.max && next !== undefined && 'part' in next && next.read === 'digits'
  })
  return ambiguous ? undefined : (text) => readDate(compiled, text)
}

function isComplete(compiled: (Step | undefined)[]): compiled is Step[] {
  const parts = compiled.flatMap((step) => (step && 'part' in step ? [step.part] : []))
  return !compiled.includes(undefined) && parts.length === 3 && new Set(parts).size === 3
}

function readDate(compiled: Step[], text: string): string | undefined {
  const found = { year: 0, month: 0, day: 0 }
  let at = 0
  for (const step of compiled) {
    if ('literal' in step) {
      if (text[at++] !== step.literal) return undefined
    } else if (step.read === 'name') {
      found.month = months.indexOf(text.slice(at, at + 3).toLowerCase()) + 1
      at += 3
    } else {
      const start = at
      let value = 0
      for (let digit = digitAt(text, at); digit >= 0 && at - start < step.max; digit = digitAt(text, ++at))
        value = value * 10 + digit
      if (at - start < step.min) return undefined
      found[step.part] = step.part === 'year' && step.max === 2 ? value + (value < pivot ? 2000 : 1900) : value
    }
  }
  const { year, month, day } = found
  if (at !== text.length || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month))
    return undefined
  return `${String(year).padStart(4, '0')}-${month < 10 ? '0' : ''}${month}-${day < 10 ? '0' : ''}${day}`
}

function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 48
  return digit >= 0 && digit <= 9 ? digit : -1
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
