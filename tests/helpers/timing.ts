/** As many rounds are asked for at least; more of them until so many, or until so much time has passed. */
const least = 200
const most = 1_200
const step = 100
const longestMs = 90_000

/** What is still the same time. */
export const tolerance = 0.1

type Compared = {
  rounds: number
  /** The median of each, in ms. */
  medians: number[]
  /** By which share each takes longer than the first. */
  longer: number[]
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number

/** Between which of the values, by a sign test, the median of their distribution lies with 99 % confidence. */
function interval(values: readonly number[]): [number, number] {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  const reach = (2.58 * Math.sqrt(sorted.length)) / 2
  return [sorted[Math.floor(half - reach)] as number, sorted[Math.ceil(half + reach)] as number]
}

const isSettled = ([low, high]: [number, number]) =>
  [-tolerance, tolerance].every((bound) => Math.log1p(bound) < low || Math.log1p(bound) > high)

/**
 * Asks by turns, and compares within each round, so that other work on the machine, which comes and goes, falls on all
 * alike. Goes on until it is sure on which side of the tolerance each lies, or has asked often or long
 * enough: then the medians decide as they are.
 * @param before comes before each, and is not timed
 */
export async function compareTimes(
  asks: readonly (() => Promise<unknown>)[],
  before: () => PromiseLike<unknown> = async () => undefined,
): Promise<Compared> {
  const times: number[][] = asks.map(() => [])
  // How much longer than the first, as a logarithm: twice as long and half as long are as far from the same.
  const ratios: number[][] = asks.map(() => [])
  const round = async (turn: number) => {
    const took: number[] = []
    // Each takes every place in turn, for what came before has its own effect.
    for (let place = 0; place < asks.length; place++) {
      const index = (place + turn) % asks.length
      await before()
      const start = performance.now()
      await asks[index]?.()
      took[index] = performance.now() - start
    }
    return took
  }
  const began = performance.now()
  for (let warmUp = 0; warmUp < 2 * asks.length; warmUp++) await round(warmUp)
  for (let rounds = 1; ; rounds++) {
    for (const [index, ms] of (await round(rounds)).entries()) times[index]?.push(ms)
    for (const [index, own] of times.entries())
      ratios[index]?.push(Math.log((own.at(-1) as number) / (times[0]?.at(-1) as number)))
    if (rounds < least || rounds % step > 0) continue
    const askOn = rounds < most && performance.now() - began < longestMs
    if (askOn && !ratios.slice(1).every((each) => isSettled(interval(each)))) continue
    return { rounds, medians: times.map(median), longer: ratios.map((each) => Math.expm1(median(each))) }
  }
}
