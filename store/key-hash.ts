/**
 * The hash of a key: 36 bits, as two numbers of 18, `place` and `tag`. It is on the drive, so it never changes.
 *
 * The key is copied into a buffer of whole words first, padded with zeros, where it is hashed word by word in two lanes of
 * 32 bits that feed each other; its length goes into the start, so padding makes no two keys equal. Both lanes start from the
 * store's seeds: who does not know them cannot tell which keys collide. It is no cryptographic hash.
 *
 * Guarantees: one result for the same bytes, whether they came as a string or as bytes; no allocation.
 */

export const KEY_BYTES_MAX = 250
const HASH_BITS = 18
const HASH_MASK = (1 << HASH_BITS) - 1

export class KeyHash {
  /** The key that was hashed last. */
  readonly bytes: Buffer
  place = 0
  tag = 0
  readonly #words: Int32Array
  readonly #seed0: number
  readonly #seed1: number

  /** Two random numbers of 32 bits. */
  constructor(seed0: number, seed1: number) {
    const memory = new ArrayBuffer(256)
    this.bytes = Buffer.from(memory)
    this.#words = new Int32Array(memory)
    this.#seed0 = seed0 | 0
    this.#seed1 = seed1 | 0
  }

  /**
   * Sets `place`, `tag` and `bytes`, and returns the length of the key in bytes (of a string: in UTF-8). A length of 0 or
   * above 250 is returned and nothing is set: such keys are not allowed.
   */
  hash(key: string | Uint8Array): number {
    const length = typeof key === 'string' ? this.#takeString(key) : this.#takeBytes(key)
    if (length > 0 && length <= KEY_BYTES_MAX) this.#mix(length)
    return length
  }

  /** As `hash`, of a key that lies in a page: 1 to 250 bytes. */
  hashIn(page: Uint8Array, at: number, length: number): void {
    const { bytes } = this
    for (let i = 0; i < length; i++) bytes[i] = page[at + i]!
    this.#mix(length)
  }

  #takeBytes(key: Uint8Array): number {
    const { bytes } = this
    const { length } = key
    if (length > KEY_BYTES_MAX) return length
    for (let i = 0; i < length; i++) bytes[i] = key[i]!
    return length
  }

  #takeString(key: string): number {
    const { bytes } = this
    const { length } = key
    if (length > KEY_BYTES_MAX) return Buffer.byteLength(key)
    for (let i = 0; i < length; i++) {
      const unit = key.charCodeAt(i)
      if (unit > 127) return this.#takeUnicode(key)
      bytes[i] = unit
    }
    return length
  }

  /** Some 50 times slower than ASCII: a call into the runtime, or two. */
  #takeUnicode(key: string): number {
    const length = Buffer.byteLength(key)
    if (length <= KEY_BYTES_MAX) this.bytes.write(key)
    return length
  }

  #mix(length: number): void {
    const words = this.#words
    const count = (length + 3) >>> 2
    const rest = length & 3
    if (rest !== 0) words[count - 1]! &= (1 << (rest << 3)) - 1
    let a = this.#seed0 ^ length
    let b = this.#seed1
    for (let i = 0; i < count; i++) {
      const word = words[i]!
      a = Math.imul(a ^ word, 0x9e3779b1)
      b = Math.imul(((b << 13) | (b >>> 19)) + word, 0x85ebca6b)
      a = (((a << 15) | (a >>> 17)) + b) | 0
      b ^= a >>> 11
    }
    a ^= a >>> 16
    b = Math.imul(b ^ (b >>> 15), 0x2c1b3c6d)
    a = Math.imul(a + b, 0x85ebca6b)
    a ^= a >>> 13
    b = Math.imul((b ^ (b >>> 12)) + a, 0x297a2d39)
    b ^= b >>> 15
    a = Math.imul(a ^ b, 0xc2b2ae35)
    this.place = (a >>> 14) & HASH_MASK
    this.tag = (b >>> 7) & HASH_MASK
  }
}
