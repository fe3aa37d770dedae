/** What people read when a device cannot be made: their flags and their units. */
import { expect, test } from 'vitest'
import { explainError } from '../../daemon/explain-error.js'
import { Geometry, type GeometryOptions } from '../../zone-model/index.js'

const VALID: GeometryOptions = { zoneCount: 4, zoneSizeBytes: 2 ** 22 }

function said(options: Partial<GeometryOptions>): string {
  try {
    Geometry.create({ ...VALID, ...options })
  } catch (error) {
    return (explainError(error, 0) as Error).message
  }
  throw new Error('nothing was refused')
}

test.each([
  [
    { zoneSizeBytes: 3 * 2 ** 20 },
    '--zone-size is 3M: Linux takes only powers of two; use 2M or 4M, and --zone-capacity for a smaller writable part',
  ],
  [
    { zoneCapacityBytes: 5 * 2 ** 20 },
    '--zone-capacity is 5M: it must be a whole number from 4K to 4M',
  ],
  [
    { zoneCapacityBytes: 5000 },
    '--zone-capacity is 5000: it must be a multiple of the block size 4K; use 4K',
  ],
  [{ blockSizeBytes: 1024 }, '--block-size is 1K: it must be 512 or 4K'],
  [{ zoneCount: 1024 * 1024 }, /^--zones is 1048576: at most 16384 zones/],
] as const)('%o', (options, expected) => {
  expect(said(options)).toMatch(expected)
})
