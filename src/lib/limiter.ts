/** Runs at most `max` tasks at once and lets `queue` more wait; beyond that it refuses with an error of the caller's. */
export class Limiter {
  readonly #max: number
  readonly #queue: number
  readonly #refusal: () => Error
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(max: number, queue: number, refusal: () => Error) {
    this.#max = max
    this.#queue = queue
    this.#refusal = refusal
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#max) {
      if (this.#waiting.length >= this.#queue) throw this.#refusal()
      await new Promise<void>((go) => this.#waiting.push(go))
    } else this.#running++
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
