import { JobThread } from './job-thread.ts'

/** Argon2id's cost: KiB, passes, lanes. */
type Cost = { memoryCost: number; timeCost: number; parallelism: number }
/** Make a hash at this cost, or compare with one in PHC text form. */
export type Work = { password: string; cost: Cost } | { password: string; against: string }

/** A thread that hashes, one password after the other. */
export class HashThread {
  readonly #thread = new JobThread<Work, string | boolean>(new URL('./hash-thread.ts', import.meta.url), {
    name: 'hashing',
  })

  /** How many passwords it was given and has not answered. */
  get load(): number {
    return this.#thread.load
  }

  hash(password: string, cost: Cost): Promise<string> {
    return this.#thread.run({ password, cost }) as Promise<string>
  }

  verify(against: string, password: string): Promise<boolean> {
    return this.#thread.run({ password, against }) as Promise<boolean>
  }
}
