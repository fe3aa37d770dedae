import { defineConfig } from 'vitest/config'

/**
 * Three projects, by what they need:
 * unit    nothing: any platform, no addon, no root. Part of `npm run check`.
 * native  the built addon (and, for worker tests, dist/).
 * kernel  a kernel with ublk and root: run directly where /dev/ublk-control is, else inside the VM.
 */
export default defineConfig({
  test: {
    // Every core: vitest leaves one free unless told, which is half of a CI machine's two.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/native/**', 'test/kernel/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'native',
          include: ['test/native/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
