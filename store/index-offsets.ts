/**
 * Where an entry of the index may be besides its first bucket.
 */

export const HOME_BITS = 12
export const JUMP_BITS = 6
const HOME_MASK = (1 << HOME_BITS) - 1

/**
 * By jump: what to combine home and tag with (exclusive or). Those of homes differ from 0, so the two buckets differ; together
 * they span all 30 bits, so that room anywhere is room for everything.
 */
export const HOME_OFFSETS = new Int32Array(1 << JUMP_BITS)
export const TAG_OFFSETS = new Int32Array(1 << JUMP_BITS)
for (let jump = 0, state = 0x9e3779b9 | 0; jump < 1 << JUMP_BITS; jump++) {
  do {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
  } while (((state >>> 3) & HOME_MASK) === 0)
  HOME_OFFSETS[jump] = (state >>> 3) & HOME_MASK
  TAG_OFFSETS[jump] = Math.imul(state, 0x2c1b3c6d) >>> 14
}

/** Both, as they are in a hash: the home, and the tag above it. */
export const OFFSETS = HOME_OFFSETS.map((home, jump) => home | (TAG_OFFSETS[jump]! << HOME_BITS))

/** A place without its jump, and the tag above it: 30 bits, of which a bucket's number is the lowest. */
export function hashOf(place: number, tag: number): number {
  return (tag << HOME_BITS) | (place & HOME_MASK)
}
