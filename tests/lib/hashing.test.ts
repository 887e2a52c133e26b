import { argon2d, hash, verify } from 'argon2'
import { expect, test } from 'vitest'
import { HashThread } from '../../src/lib/hashing.ts'

const cost = { memoryCost: 1_024, timeCost: 2, parallelism: 1 }

test('a hash is one that argon2 itself accepts, and for the right password only', async () => {
  const thread = new HashThread()
  const hashed = await thread.hash('Correct-Horse-7 ÄÖ', cost)
  expect(hashed).toMatch(/^\$argon2id\$v=19\$m=1024,p=1,t=2\$/)
  expect(await verify(hashed, 'Correct-Horse-7 ÄÖ')).toBe(true)
  expect(await verify(hashed, 'Correct-Horse-8 ÄÖ')).toBe(false)
})

test('hashes that argon2 made are told from wrong ones, of other costs and kinds too', async () => {
  const thread = new HashThread()
  for (const options of [
    cost,
    { ...cost, parallelism: 4, timeCost: 3, hashLength: 16 },
    { ...cost, type: argon2d } as const,
  ]) {
    const hashed = await hash('Correct-Horse-7 ÄÖ', options)
    expect(await thread.verify(hashed, 'Correct-Horse-7 ÄÖ')).toBe(true)
    expect(await thread.verify(hashed, 'correct-horse-7 äö')).toBe(false)
  }
})

test('many passwords at once are each answered for themselves; what is no hash is an error of its own asker only', async () => {
  const thread = new HashThread()
  const hashed = await thread.hash('right', cost)
  const asked = Array.from({ length: 20 }, (_, index) => thread.verify(hashed, index % 3 === 0 ? 'right' : 'wrong'))
  await expect(thread.verify('no hash', 'right')).rejects.toThrow()
  expect(await Promise.all(asked)).toEqual(Array.from({ length: 20 }, (_, index) => index % 3 === 0))
  expect(thread.load).toBe(0)
})
