import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: 'tests/setup.ts',
    pool: 'forks',
    maxWorkers: 2,
    // Files of a worker share what they import: each has a service and a database of its own anyway.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 90_000,
    teardownTimeout: 30_000,
  },
})
