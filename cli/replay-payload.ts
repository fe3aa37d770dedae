/**
 * What a replay writes, since a trace has no data: bytes that follow from a seed and the sector they are written to.
 *
 * Guarantees: the same seed and sector give the same 512 bytes, whatever the request they are part of; so every later read
 * can be checked without keeping what was written. They neither compress nor repeat.
 */

const SECTOR_BYTES = 512
const SECTOR_WORDS = SECTOR_BYTES / 4

/** Every bit of `word` has a part in every bit of the result (the end of splitmix32). */
function mix(word: number): number {
  let z = word | 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return z ^ (z >>> 15)
}

/** Fill whole sectors from `sector` on. `target` begins at a multiple of 4 in its buffer. */
export function fillPayload(target: Uint8Array, seed: number, sector: number): void {
  const words = new Int32Array(target.buffer, target.byteOffset, target.byteLength / 4)
  for (let at = 0; at < words.length; at += SECTOR_WORDS) {
    const here = sector + at / SECTOR_WORDS
    let state = mix(mix(seed ^ mix(here | 0)) + Math.floor(here / 2 ** 32))
    for (let i = at; i < at + SECTOR_WORDS; i++) {
      state = (state + 0x9e3779b9) | 0
      words[i] = mix(state)
    }
  }
}
