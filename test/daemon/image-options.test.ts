/**
 * Which options of a device an image decides, and what is said to who wants another.
 */
import { expect, it } from 'vitest'
import { type DriveDescription, resolveImageOptions } from '../../daemon/image-options.js'
import { resolveOptions } from '../../daemon/options.js'

const MIB = 1024 * 1024
const image = '/var/drive'

const made: DriveDescription = {
  options: {
    ...resolveOptions({ zones: 32, zoneSize: '4M', compression: 'lz4', maxOpen: 6 }),
    zoneCapacity: 3 * MIB,
    maxAppend: MIB,
  },
  queueCount: 2,
  depth: 64,
}

it('the drive is as the image says, the service as the caller does', () => {
  const options = resolveImageOptions({ image, id: 7, queues: 1, recovery: false }, made)
  expect(options).toMatchObject({
    ...{ zones: 32, zoneSize: 4 * MIB, zoneCapacity: 3 * MIB, compression: 'lz4', maxOpen: 6 },
    ...{ id: 7, queues: 1, depth: 64, recovery: false, image },
  })
})

it('what is said again in other words is no contradiction', () => {
  const again = { image, zones: '32', zoneSize: '4096K', zoneCapacity: '3M', depth: 64 }
  expect(resolveImageOptions(again, made)).toEqual(resolveImageOptions({ image }, made))
})

it('the tier is that of the image', () => {
  const tiered = { ...made, options: { ...made.options, tier: '/var/cold' } }
  const served = { image, tierAfter: 5, tierBudget: '1M' }
  expect(resolveImageOptions(served, tiered)).toMatchObject({ tier: '/var/cold', tierAfter: 5 })
  expect(resolveImageOptions({ image, tier: '/var/cold' }, tiered).tier).toBe('/var/cold')
  expect(() => resolveImageOptions({ image, tier: '/var/other' }, tiered)).toThrow(
    '--tier /var/other: the drive in /var/drive was made with /var/cold: leave the option out',
  )
  expect(resolveImageOptions({ image }, made).tier).toBeNull()
  expect(() => resolveImageOptions({ image, tier: '/var/cold' }, made)).toThrow(
    '--tier /var/cold: the drive in /var/drive was made with no tier',
  )
})

it.each([
  [{ zones: 64 }, '--zones 64: the drive in /var/drive was made with 32'],
  [{ zoneSize: '8M' }, '--zone-size 8M: the drive in /var/drive was made with 4M'],
  [{ sameFill: false }, '--same-fill false: the drive in /var/drive was made with true'],
  [{ queues: 3 }, '--queues 3: the drive in /var/drive was made for at most 2'],
  [{ depth: 65 }, '--depth 65: the drive in /var/drive was made for at most 64'],
  [{ zones: 'many' }, '--zones many: expected a whole number from 2 to 16384'],
])('%o is refused', (given, message) => {
  expect(() => resolveImageOptions({ image, ...given }, made)).toThrow(message)
})
