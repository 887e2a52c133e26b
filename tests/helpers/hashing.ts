import { afterAll, beforeAll } from 'vitest'
import { HashThread } from '../../src/lib/hashing.ts'
import { password as shared } from './api.ts'

let fullCost = false

const { hash } = HashThread.prototype

/**
 * The password that fixtures share is hashed with a sixteenth of the memory, or its hashes alone, a core's work each,
 * would take a third of the suite's time. Every other password costs what it costs in production.
 */
HashThread.prototype.hash = function (password, cost) {
  const cheap = !fullCost && password === shared
  return hash.call(this, password, cheap ? { ...cost, memoryCost: cost.memoryCost / 16 } : cost)
}

/** In this file that password, too, costs what it costs in production. */
export function hashAtFullCost(): void {
  beforeAll(() => {
    fullCost = true
  })
  afterAll(() => {
    fullCost = false
  })
}
