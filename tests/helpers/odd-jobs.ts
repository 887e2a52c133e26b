/** A thread whose jobs go wrong in every way there is: see `tests/lib/job-thread.test.ts`. */
import { serveJobs } from '../../src/lib/job-thread.ts'

serveJobs(async (job: string) => {
  switch (job) {
    case 'throw':
      throw new Error('This job cannot be done.')
    case 'hang':
      for (;;);
    case 'exit':
      return process.exit(1)
    case 'break':
      setImmediate(() => {
        throw new Error('Nobody catches this.')
      })
      return new Promise(() => undefined)
    case 'explode': {
      const hoard: number[][] = []
      for (;;) hoard.push(Array.from({ length: 100_000 }, (_, n) => n))
    }
    default:
      return job
  }
})
