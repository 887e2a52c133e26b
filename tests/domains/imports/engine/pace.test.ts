import { channel } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import { Pace } from '../../../../src/domains/imports/engine/pace.ts'

const request = channel('http.server.request.start')

async function timesOf(pace: Pace, pieces: number, meanwhile: () => void) {
  const start = performance.now()
  for (let piece = 0; piece < pieces; piece++) {
    meanwhile()
    await pace.giveWay()
  }
  return (performance.now() - start) / pieces
}

describe('the pace of an import', () => {
  test('is unhurried while requests come, and only as long', async () => {
    const pace = new Pace()
    expect(await timesOf(pace, 5, () => request.publish({}))).toBeGreaterThan(15)
    expect(await timesOf(pace, 50, () => undefined)).toBeLessThan(10)
    pace.stop()
    expect(await timesOf(pace, 50, () => request.publish({}))).toBeLessThan(10)
  })
})
