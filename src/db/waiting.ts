import { isUnavailable } from './client.ts'

const firstWaitMs = 200
const longestWaitMs = 3_000

/**
 * Repeats what needs the database until it can be reached, waiting longer each time.
 * @param waiting called before each wait
 * @param signal ends the waiting
 */
export async function untilReachable<T>(
  attempt: () => Promise<T>,
  waiting: (error: Error, waitMs: number) => void,
  signal: AbortSignal,
): Promise<T> {
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
    try {
      return await attempt()
    } catch (error) {
      if (!isUnavailable(error) || signal.aborted) throw error
      waiting(error as Error, waitMs)
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, waitMs)
        signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true })
      })
    }
  }
}
