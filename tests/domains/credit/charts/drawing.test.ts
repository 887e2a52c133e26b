import { test as base, describe, expect } from 'vitest'
import { delinquencyChart } from '../../../../src/domains/credit/charts/bars.ts'
import { Drawing } from '../../../../src/domains/credit/charts/drawing.ts'

const heading = { portfolio: 'Book', currency: 'USD', on: '2024-01-31', known_at: null, filter: {}, loan_count: 0 }
const spec = JSON.stringify(delinquencyChart(heading, []))

const test = base.extend<{ drawing: (limits?: { waiting?: number; limitMs?: number }) => Drawing }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest asks for an object pattern
  drawing: async ({}, use) => {
    const made: Drawing[] = []
    await use((limits) => made[made.push(new Drawing(limits)) - 1] as Drawing)
    await Promise.all(made.map((one) => one.close()))
  },
})

describe('drawing', () => {
  test('refuses what would wait too long, to be asked again, and draws the rest', async ({ drawing }) => {
    const drawn = drawing({ waiting: 2 })
    const answers = await Promise.allSettled(Array.from({ length: 5 }, () => drawn.svgOf(spec)))
    expect(answers.map(({ status }) => status)).toEqual([...Array(3).fill('fulfilled'), ...Array(2).fill('rejected')])
    expect(answers[4]).toMatchObject({ reason: { code: 'busy', statusCode: 503, extras: { retryAfterS: 2 } } })
    expect(await drawn.svgOf(spec)).toMatch(/^<svg /)
  })

  test('that takes too much is ended with a problem that says so; who waits gets a turn', async ({ drawing }) => {
    const drawn = drawing({ limitMs: 1 })
    const answers = await Promise.allSettled([drawn.svgOf(spec), drawn.svgOf(spec)])
    for (const answer of answers)
      expect(answer).toMatchObject({
        reason: { code: 'unavailable', statusCode: 503, extras: { retryAfterS: 5, cause: { name: 'ThreadEnded' } } },
      })
  })

  test('of what is no chart is an error, after which charts are drawn as before', async ({ drawing }) => {
    const drawn = drawing()
    await expect(drawn.svgOf('{"mark":"pie-ish"}')).rejects.toThrow()
    expect(await drawn.svgOf(spec)).toMatch(/^<svg /)
  })
})
