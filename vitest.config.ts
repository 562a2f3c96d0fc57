import { defineConfig } from 'vitest/config'

/** The command, its workers, and clients without a browser: enough to see that the parts work together. */
const smoke = [
  'test/cli/main.test.ts',
  'test/cli/service/service.test.ts',
  'test/cli/workers/serve.test.ts',
  'test/e2e/conversation.test.ts',
  'test/e2e/sse.test.ts',
  'test/e2e/ws.test.ts',
]

/** Unit tests that mock a module, or count what a process prints once: its modules must be loaded for them alone. */
const alone = ['test/cli/admin/guards.test.ts', 'test/proxy/proxy-error.test.ts', 'test/sticky/forgery.test.ts']

/** Tests that share one browser. It ends with the file. */
const browser = ['test/cli/admin/page/*.test.ts']

/** Long corpora, hundreds of megabytes for clients that lag, and time-outs of the system's resolver. */
const slow = [
  'test/balancer/discovery/server.test.ts',
  'test/cli/config/hostile.test.ts',
  'test/parser/lenient-node.test.ts',
  'test/proxy/tunnel/backend-memory.test.ts',
  'test/proxy/tunnel/backpressure.test.ts',
  'test/proxy/tunnel/backend-socket.test.ts',
]

export default defineConfig({
  test: {
    // Vitest would leave one core idle, and most tests wait more than they work.
    maxWorkers: 2,
    // Real sockets and child processes share two cores in CI: a limit only for what hangs.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000 } },
    // Each file is in one of them.
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            'test/{parser,proxy,sticky,balancer,router,bench}/**/*.test.ts',
            'test/cli/{admin,config}/**/*.test.ts',
            'test/{ip,rooms}.test.ts',
          ],
          exclude: ['test/cli/admin/page/**', ...alone, ...slow],
          // A process for each file, with modules of its own, would take a third more CPU time.
          isolate: false,
        },
      },
      { extends: true, test: { name: 'unit-alone', include: alone } },
      { extends: true, test: { name: 'smoke', include: smoke } },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: [
            'test/{e2e,examples}/**/*.test.ts',
            'test/cli/{listening,service,workers}/**/*.test.ts',
            'test/cli/*.test.ts',
            'test/package.test.ts',
          ],
          exclude: smoke,
          testTimeout: 180_000,
          // A process for each file would take a quarter more CPU time.
          isolate: false,
        },
      },
      { extends: true, test: { name: 'e2e-browser', include: browser, testTimeout: 180_000 } },
      {
        extends: true,
        test: { name: 'torture', include: ['test/torture/**/*.test.ts', ...slow], testTimeout: 180_000 },
      },
    ],
  },
})
