import { defineConfig } from 'vitest/config'

/** Proofs that a hot path makes no garbage. */
const GC_PROOFS = ['test/**/*-gc.test.ts']

/**
 * Four projects, by what they need:
 * unit    nothing: any platform, no addon, no root. Part of `npm run check`.
 * gc      nothing, but a minute: ten million turns of each hot path without a collection of garbage.
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
          exclude: [...GC_PROOFS, 'test/native/**', 'test/kernel/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'gc',
          include: GC_PROOFS,
          exclude: ['test/native/**', 'test/kernel/**'],
          testTimeout: 120_000,
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
