/**
 * The media type that an `Accept` header prefers among those offered; of equals the first.
 * @returns undefined when it accepts none of them
 */
export function preferredType<T extends string>(accept: string | undefined, offered: readonly T[]): T | undefined {
  const ranges = (accept ?? '*/*').split(',').map(readRange)
  let best: T | undefined
  let quality = 0
  for (const type of offered) {
    const accepted = qualityOf(type, ranges)
    if (accepted <= quality) continue
    best = type
    quality = accepted
  }
  return best
}

type Range = { type: string; q: number }

function readRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const q = Number(parameters.find((one) => one.startsWith('q='))?.slice(2) ?? 1)
  return { type, q: q >= 0 && q <= 1 ? q : 0 }
}

/** What the most specific range that fits the type says of it. */
function qualityOf(type: string, ranges: Range[]): number {
  for (const pattern of [type, `${type.split('/')[0]}/*`, '*/*']) {
    const range = ranges.find((one) => one.type === pattern)
    if (range !== undefined) return range.q
  }
  return 0
}
