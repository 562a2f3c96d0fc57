import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real sockets and child processes share two cores in CI: a limit only for what hangs.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
