/** A media with regions beside a plain buffer: random data of all sorts, random steps, and the comparison. */
import { expect } from 'vitest'
import { type NativeMedia, PAGE_BYTES } from '../../ublk-native/index.js'
import type { Random } from './random.js'

export const REGION_BYTES = 32 * PAGE_BYTES
export const REGIONS = 6
export const BYTES = REGIONS * REGION_BYTES

/** Bytes that shrink to less than a half, but are not same-fill. */
export function text(rng: Random, length: number): Uint8Array {
  const words = ['zone ', 'append ', 'reset ', 'write pointer ', 'slab ', 'slot ']
  let made = ''
  while (made.length < length) made += words[rng.below(words.length)]! + rng.below(100)
  return new Uint8Array(Buffer.from(made.slice(0, length)))
}

export function someBytes(rng: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  const sort = rng.below(5)
  if (sort === 0) return bytes
  if (sort === 1) return bytes.fill(1 + rng.below(255))
  if (sort === 2) return rng.bytes(bytes)
  if (sort === 3) return text(rng, length)
  const mixed = text(rng, length)
  rng.bytes(mixed.subarray(length >> 2, length >> 1))
  mixed.fill(7, length >> 1)
  return mixed
}

export function expectSame(media: NativeMedia, model: Uint8Array, what: string): void {
  const all = new Uint8Array(BYTES)
  expect(media.read(0, all), what).toBe(BYTES)
  if (Buffer.compare(all, model) === 0) return
  expect.fail(`${what}: byte ${all.findIndex((byte, i) => byte !== model[i])} differs`)
}

/** A media is a buffer, to which its regions are written in order. */
export class Walk {
  readonly model = new Uint8Array(BYTES)
  readonly wp = new Array<number>(REGIONS).fill(0)

  constructor(
    readonly rng: Random,
    readonly block: number,
    readonly inPlaceRegions: number,
  ) {}

  step(media: NativeMedia, what: string): void {
    const { rng, block, model, wp } = this
    const region = rng.below(REGIONS)
    const start = region * REGION_BYTES
    const op = rng.below(10)
    const left = (REGION_BYTES - wp[region]!) / block
    if (op === 0 || left === 0) {
      expect(media.recycle(start, REGION_BYTES), what).toBe(0)
      model.fill(0, start, start + REGION_BYTES)
      wp[region] = 0
    } else if (op === 1 && wp[region]! > 0) {
      // A write that is taken back, as after a copy that failed; or, where pages have gone to a tier, a mere discard: what
      // such a page had in memory is not taken again before a reset.
      const length = (1 + rng.below(Math.min(wp[region]! / block, 20))) * block
      const offset = start + wp[region]! - length
      if (media.stats().regions[region]!.tier.pages === 0) wp[region]! -= length
      expect(media.discard(offset, length), what).toBe(0)
      model.fill(0, offset, offset + length)
    } else {
      const isInPlace = region < this.inPlaceRegions
      const at = isInPlace ? rng.below(left) * block : wp[region]!
      const most = Math.min((REGION_BYTES - at) / block, (12 * PAGE_BYTES) / block)
      const bytes = someBytes(rng, (1 + rng.below(most)) * block)
      expect(media.write(start + at, bytes), what).toBe(bytes.length)
      model.set(bytes, start + at)
      if (!isInPlace) wp[region] = at + bytes.length
    }
  }
}
