/**
 * Geometry: properties over all options, and messages that say what to change.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  Geometry,
  type GeometryOptions,
  ZONE_BYTES_MAX,
  ZoneModelError,
} from '../../zone-model/index.js'

const VALID = fc
  .record({
    block: fc.constantFrom(512, 4096),
    shift: fc.integer({ min: 12, max: 35 }),
    zoneCount: fc.integer({ min: 1, max: 16384 }),
    capacity: fc.double({ min: 0, max: 1, noNaN: true }),
    append: fc.double({ min: 0, max: 1, noNaN: true }),
    conventional: fc.double({ min: 0, max: 1, noNaN: true }),
    maxActive: fc.integer({ min: 0, max: 20000 }),
    maxOpen: fc.integer({ min: 0, max: 20000 }),
  })
  .map(({ block, shift, zoneCount, capacity, append, conventional, maxActive, maxOpen }) => {
    const zoneSizeBytes = 2 ** shift
    const blocks = (bytes: number, share: number) =>
      Math.max(1, Math.floor((bytes / block) * share)) * block
    const zoneCapacityBytes = blocks(zoneSizeBytes, capacity)
    return {
      blockSizeBytes: block,
      zoneSizeBytes,
      zoneCount,
      zoneCapacityBytes,
      maxAppendBytes: blocks(zoneCapacityBytes, append),
      conventionalCount: Math.floor((zoneCount - 1) * conventional),
      maxActive,
      maxOpen: maxActive === 0 ? maxOpen : Math.min(maxOpen, maxActive),
    }
  })

test('every valid geometry is what Linux demands, and survives JSON', () => {
  fc.assert(
    fc.property(VALID, options => {
      const geometry = Geometry.create(options)
      expect(2 ** geometry.zoneShift).toBe(geometry.zoneSizeSectors)
      expect(geometry.zoneSizeSectors * 512).toBe(options.zoneSizeBytes)
      expect(geometry.totalSectors).toBe(geometry.zoneSizeSectors * geometry.zoneCount)
      expect(Number.isSafeInteger(geometry.totalBytes)).toBe(true)
      expect(geometry.zoneCapacitySectors).toBeGreaterThan(0)
      expect(geometry.zoneCapacitySectors).toBeLessThanOrEqual(geometry.zoneSizeSectors)
      expect(geometry.zoneCapacitySectors % geometry.blockSectors).toBe(0)
      expect(geometry.maxAppendSectors).toBeGreaterThan(0)
      expect(geometry.maxAppendSectors % geometry.blockSectors).toBe(0)
      expect(geometry.maxAppendSectors).toBeLessThanOrEqual(geometry.zoneCapacitySectors)
      expect(geometry.sequentialCount).toBeGreaterThan(0)
      expect(geometry.zoneCount * 64).toBeLessThanOrEqual(2 ** 20)
      // The write pointer of a full zone fits the 27 bits of a zone word.
      expect(geometry.zoneCapacitySectors).toBeLessThan(2 ** 27)
      for (const limit of [geometry.maxOpen, geometry.maxActive]) {
        expect(limit === 0 || limit < geometry.sequentialCount).toBe(true)
      }
      const again = Geometry.create(JSON.parse(JSON.stringify(geometry)) as GeometryOptions)
      expect(again.equals(geometry)).toBe(true)
      expect(again).toEqual(geometry)
    }),
    { numRuns: 1000 },
  )
})

test('whatever the numbers, options are taken or refused with the option named', () => {
  const anything = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.constantFrom(0, 1, 4096, 2 ** 20, 2 ** 36),
  )
  const optional = fc.option(anything, { nil: undefined })
  fc.assert(
    fc.property(
      fc.record({
        zoneCount: anything,
        zoneSizeBytes: anything,
        zoneCapacityBytes: optional,
        conventionalCount: optional,
        maxOpen: optional,
        maxActive: optional,
        maxAppendBytes: optional,
        blockSizeBytes: optional,
      }),
      options => {
        try {
          Geometry.create(options)
        } catch (error) {
          expect(error).toBeInstanceOf(ZoneModelError)
          const { code, option, message } = error as ZoneModelError
          expect(code).toBe('ZONE_ERR_GEOMETRY')
          expect(Object.keys(options)).toContain(option)
          expect(
            message.startsWith(`${option} is ${options[option as keyof typeof options] ?? ''}`),
          ).toBe(true)
        }
      },
    ),
    { numRuns: 2000 },
  )
})

const GOOD: GeometryOptions = { zoneCount: 64, zoneSizeBytes: 2 ** 26 }

test.each([
  [{ zoneCount: 0 }, 'zoneCount is 0: it must be a whole number from 1 to 16384'],
  [{ zoneCount: 16385 }, /zoneCount is 16385: at most 16384 zones fit .* make the zones larger/],
  [{ zoneSizeBytes: 3 * 2 ** 20 }, /zoneSizeBytes is 3145728: .* use 2097152 or 4194304/],
  [{ zoneSizeBytes: ZONE_BYTES_MAX * 2 }, /zoneSizeBytes is 68719476736: .* to 34359738368/],
  [{ zoneSizeBytes: 2048, blockSizeBytes: 512 }, /zoneSizeBytes is 2048: .* from 4096/],
  [{ zoneCapacityBytes: 2 ** 27 }, /zoneCapacityBytes is 134217728: .* from 4096 to 67108864/],
  [{ zoneCapacityBytes: 10_000 }, /zoneCapacityBytes is 10000: .* use 8192/],
  [
    { conventionalCount: 64 },
    /conventionalCount is 64: .* use at most 63, or raise zoneCount \(64\)/,
  ],
  [
    { maxOpen: 9, maxActive: 8 },
    /maxOpen is 9: .* at most maxActive \(8\); lower maxOpen or raise maxActive/,
  ],
  [{ maxOpen: -1 }, /maxOpen is -1/],
  [{ maxAppendBytes: 0 }, /maxAppendBytes is 0/],
  [{ maxAppendBytes: 5000 }, /maxAppendBytes is 5000: .* use 4096/],
  [{ zoneCapacityBytes: 8192, maxAppendBytes: 12288 }, /maxAppendBytes is 12288: .* to 8192/],
  [{ blockSizeBytes: 1024 }, 'blockSizeBytes is 1024: it must be 512 or 4096'],
])('refuses %j', (change, message) => {
  expect(() => Geometry.create({ ...GOOD, ...change })).toThrow(message)
})

test('a limit that cannot be reached is none, as in Linux', () => {
  const { maxOpen, maxActive } = Geometry.create({
    ...GOOD,
    conventionalCount: 60,
    maxOpen: 3,
    maxActive: 4,
  })
  expect([maxOpen, maxActive]).toEqual([3, 0])
})

test('appends default to what one request carries', () => {
  expect(Geometry.create(GOOD).maxAppendSectors).toBe(2048)
  expect(Geometry.create({ ...GOOD, zoneCapacityBytes: 65536 }).maxAppendSectors).toBe(128)
})
