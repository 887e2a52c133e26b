import { parentPort, type ResourceLimits, Worker } from 'node:worker_threads'

type Job<Work> = { id: number; work: Work }
type Answer<Result> = { id: number } & ({ value: Result } | { error: unknown })
type Waiting<Result> = { resolve: (value: Result) => void; reject: (error: unknown) => void }

type Options = {
  /** What debuggers and the errors below call the thread. */
  name: string
  /** How long a job may take, the start of the thread included; without it, as long as it likes. */
  limitMs?: number
  resourceLimits?: ResourceLimits
}

/** The thread has ended before it answered: it took too long, ran out of memory, or broke in a way of its own. */
export class ThreadEnded extends Error {
  override name = 'ThreadEnded'
}

/**
 * A thread that does jobs, one after the other. It starts with the first one, and again with the next one after it has
 * ended. Jobs wait in the thread itself: from the loop that answers requests the next one would be handed over late, and
 * a core would idle meanwhile.
 */
export class JobThread<Work, Result> {
  readonly #file: URL
  readonly #options: Options
  #waiting = new Map<number, Waiting<Result>>()
  #thread: Worker | undefined
  #clock: NodeJS.Timeout | undefined
  #last = 0
  #closed = false

  /** @param file calls {@link serveJobs} */
  constructor(file: URL, options: Options) {
    this.#file = file
    this.#options = options
  }

  /** How many jobs it was given and has not answered. */
  get load(): number {
    return this.#waiting.size
  }

  /** @throws ThreadEnded, or what the job itself threw, which the thread outlives */
  async run(work: Work): Promise<Result> {
    if (this.#closed) throw new ThreadEnded(`The thread of ${this.#options.name} is closed.`)
    this.#thread ??= this.#start()
    const thread = this.#thread
    const id = ++this.#last
    thread.postMessage({ id, work } satisfies Job<Work>)
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      if (this.load === 1) this.#watch(thread)
    })
  }

  /** Ends the thread for good; what waits is refused. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#end(this.#thread, `The thread of ${this.#options.name} is closed.`)
  }

  #start(): Worker {
    const { name, resourceLimits } = this.#options
    const thread = new Worker(this.#file, { name, ...(resourceLimits && { resourceLimits }) })
    thread.on('message', ({ id, ...answer }: Answer<Result>) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (thread === this.#thread) this.#watch(thread)
      if ('error' in answer) waiting?.reject(answer.error)
      else waiting?.resolve(answer.value)
    })
    thread.once('error', (error) => this.#end(thread, `The thread of ${name} has ended: ${error.message}`, error))
    thread.once('exit', () => this.#end(thread, `The thread of ${name} has ended.`))
    return thread
  }

  /** The time of a job begins when the one before it is answered. A thread without work keeps no process alive. */
  #watch(thread: Worker): void {
    const { name, limitMs } = this.#options
    clearTimeout(this.#clock)
    if (this.load === 0) thread.unref()
    else thread.ref()
    if (this.load === 0 || limitMs === undefined) return
    this.#clock = setTimeout(() => this.#end(thread, `A job of ${name} took more than ${limitMs} ms.`), limitMs)
  }

  /** Only the present thread: what waits by now may be in the hands of its successor. */
  async #end(thread: Worker | undefined, message: string, cause?: unknown): Promise<void> {
    if (thread === undefined || thread !== this.#thread) return
    const waiting = this.#waiting
    this.#thread = undefined
    this.#waiting = new Map()
    clearTimeout(this.#clock)
    const ended = thread.terminate()
    for (const { reject } of waiting.values()) reject(new ThreadEnded(message, { cause }))
    await ended
  }
}

/** The other side: does the jobs that come, each when the one before is done. */
export function serveJobs<Work>(answer: (work: Work) => unknown): void {
  const port = parentPort
  if (!port) throw new Error('This file is started as a thread, by JobThread.')
  let last = Promise.resolve()
  port.on('message', ({ id, work }: Job<Work>) => {
    last = last.then(async () => {
      try {
        port.postMessage({ id, value: await answer(work) })
      } catch (error) {
        port.postMessage({ id, error })
      }
    })
  })
}
