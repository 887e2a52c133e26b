import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: 'tests/setup.ts',
    setupFiles: 'tests/worker.ts',
    pool: 'forks',
    maxWorkers: 2,
    // Files of a worker share what they import: each has a service and a database of its own anyway.
    isolate: false,
    // Where how soon something happens is the promise, the test says so; elsewhere a busy machine may take its time.
    expect: { poll: { timeout: 10_000, interval: 20 } },
    testTimeout: 30_000,
    hookTimeout: 90_000,
    teardownTimeout: 30_000,
  },
})
