import { afterAll, expect, test } from 'vitest'
import { JobThread, ThreadEnded } from '../../src/lib/job-thread.ts'

const file = new URL('../helpers/odd-jobs.ts', import.meta.url)
const resourceLimits = { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 4 }
const threads: JobThread<string, string>[] = []
const newThread = (more: { limitMs?: number } = {}) => {
  const thread = new JobThread<string, string>(file, { name: 'odd jobs', resourceLimits, ...more })
  threads.push(thread)
  return thread
}
afterAll(() => Promise.all(threads.map((thread) => thread.close())))

test('a job that fails is an error of its own asker only, and the thread goes on', async () => {
  const thread = newThread()
  const answers = await Promise.allSettled(['a', 'throw', 'b'].map((job) => thread.run(job)))
  expect(answers.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message))).toEqual([
    ...['a', 'This job cannot be done.', 'b'],
  ])
  expect(thread.load).toBe(0)
})

test.each([
  ['exit', 'The thread of odd jobs has ended.'],
  ['break', 'The thread of odd jobs has ended: Nobody catches this.'],
  ['explode', expect.stringMatching(/memory/)],
])('a job that ends its thread (%s) is refused, and the next one gets another thread at once', async (job, message) => {
  const thread = newThread()
  const refused = await thread.run(job).catch((error: unknown) => error)
  const next = thread.run('next')
  expect(refused).toBeInstanceOf(ThreadEnded)
  expect(refused).toMatchObject({ message })
  expect(await next).toBe('next')
})

test('a job that takes too long is ended, with what waits behind it; the time of a job is its own', async () => {
  const thread = newThread({ limitMs: 1_500 })
  // The thread has begun by now, or its start would count.
  expect(await thread.run('first')).toBe('first')
  const answers = await Promise.allSettled(['before', 'hang', 'behind'].map((job) => thread.run(job)))
  expect(answers.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message))).toEqual([
    'before',
    ...Array(2).fill('A job of odd jobs took more than 1500 ms.'),
  ])
  expect(await thread.run('after')).toBe('after')
})

test('a thread that is closed ends with the job it is at, and does no other', async () => {
  const thread = newThread()
  const hanging = expect(thread.run('hang')).rejects.toThrow(ThreadEnded)
  await thread.close()
  await hanging
  await expect(thread.run('late')).rejects.toThrow('The thread of odd jobs is closed.')
})
