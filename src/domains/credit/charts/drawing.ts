import { Problem } from '../../../lib/errors.ts'
import { JobThread, ThreadEnded } from '../../../lib/job-thread.ts'
import { Limiter } from '../../../lib/limiter.ts'

const resourceLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32 }

/**
 * Charts become pictures in a thread of their own, one after the other, so that the loop which answers requests never
 * waits for a drawing. Vega is loaded there, for the first picture.
 */
export class Drawing {
  readonly #thread: JobThread<string, string>
  readonly #limiter: Limiter

  /**
   * @param limits.waiting so many wait for their turn, a second's work; others are refused
   * @param limits.limitMs after which a drawing is ended. The first one loads Vega, on a busy machine for seconds
   */
  constructor({ waiting = 30, limitMs = 10_000 } = {}) {
    const file = new URL('./render-thread.ts', import.meta.url)
    this.#thread = new JobThread(file, { name: 'charts', limitMs, resourceLimits })
    // One at a time in the thread, so that a drawing that is ended takes no other with it.
    this.#limiter = new Limiter(1, waiting, tooMany)
  }

  /**
   * @param spec a Vega-Lite specification as JSON
   * @throws Problem `busy` when too many wait, `unavailable` where the drawing had to be ended
   */
  async svgOf(spec: string): Promise<string> {
    try {
      return await this.#limiter.run(() => this.#thread.run(spec))
    } catch (error) {
      throw error instanceof ThreadEnded ? hadToEnd(error) : error
    }
  }

  close(): Promise<void> {
    return this.#thread.close()
  }
}

const tooMany = () =>
  new Problem('busy', 'Too many charts are being drawn at once; try again in a few seconds.', { retryAfterS: 2 })

const hadToEnd = (cause: ThreadEnded) =>
  new Problem('unavailable', 'The drawing took too much and was ended; ask for less, or take the .json.', {
    retryAfterS: 5,
    cause,
  })
