import { Worker } from 'node:worker_threads'

/** Argon2id's cost: KiB, passes, lanes. */
type Cost = { memoryCost: number; timeCost: number; parallelism: number }
/** Make a hash at this cost, or compare with one in PHC text form. */
type Work = { password: string; cost: Cost } | { password: string; against: string }
export type Task = Work & { id: number }
export type Answer = { id: number; value?: string | boolean; error?: unknown }

/**
 * A thread that hashes, one password after the other. The next one waits in the thread itself: from the loop that
 * answers requests it would be handed over late, and a core would idle meanwhile.
 */
export class HashThread {
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: unknown) => void }>()
  #thread: Worker | undefined
  #last = 0

  /** How many passwords it was given and has not answered. */
  get load(): number {
    return this.#waiting.size
  }

  hash(password: string, cost: Cost): Promise<string> {
    return this.#ask({ password, cost })
  }

  verify(against: string, password: string): Promise<boolean> {
    return this.#ask({ password, against })
  }

  #ask<T extends string | boolean>(work: Work): Promise<T> {
    this.#thread ??= this.#start()
    this.#thread.ref()
    const id = ++this.#last
    const answer = new Promise<T>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    this.#thread.postMessage({ ...work, id } satisfies Task)
    return answer
  }

  #start(): Worker {
    const thread = new Worker(new URL('./hash-thread.ts', import.meta.url))
    thread.on('message', ({ id, value, error }: Answer) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      // A thread without work keeps no process alive.
      if (this.#waiting.size === 0) thread.unref()
      if (value === undefined) waiting?.reject(error)
      else waiting?.resolve(value as never)
    })
    thread.once('error', (error) => this.#end(error))
    thread.once('exit', () => this.#end(new Error('The thread that hashes has ended.')))
    return thread
  }

  /** What waits is refused; the next password starts another thread. */
  #end(error: Error): void {
    this.#thread = undefined
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
