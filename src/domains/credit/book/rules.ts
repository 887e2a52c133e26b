import { Problem } from '../../../lib/errors.ts'

/** As many segments as one answer holds; more are no longer read by anybody, and hide what matters. */
export const segmentsMax = 200

/**
 * @param count of segments that the loans fall into
 * @throws Problem `too_many_segments` with the count, where they are more than one answer holds
 */
export function assertSegments(count: number): void {
  if (count <= segmentsMax) return
  throw new Problem(
    'too_many_segments',
    `The loans fall into ${count} segments, and an answer holds at most ${segmentsMax}: take a coarser field or fewer loans, or, where there is a limit parameter, fold the smaller segments into one with it.`,
    { members: { segments: count } },
  )
}

/**
 * What the delinquency buckets of a portfolio are called, in order: `0`, `1-29`, `30-59`, `60-89`, `90+`.
 * @param edges days past due at which a bucket begins, ascending; what is before the first is a bucket, too
 */
export const bucketNames = (edges: readonly number[]): string[] =>
  [0, ...edges].map((from, at) => {
    const next = edges[at]
    if (next === undefined) return `${from}+`
    return next - 1 === from ? String(from) : `${from}-${next - 1}`
  })
