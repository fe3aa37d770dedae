/**
 * The hash of a key: 36 bits, as two numbers of 18, `place` and `tag`. It is on the drive, so it never changes.
 *
 * The key is taken word by word, little-endian, the last one padded with zeros, and hashed in two lanes of 32 bits that feed
 * each other; its length goes into the start, so padding makes no two keys equal. Both lanes start from the store's seeds: who
 * does not know them cannot tell which keys collide. It is no cryptographic hash. On the way each word is kept, for the
 * comparison with the key of a record. Words are put together in registers: bytes that were just stored would have to be
 * waited for before they could be loaded as a word.
 *
 * Guarantees: one result for the same bytes, whether they came as a string or as bytes; no allocation.
 */
import { isBytes } from './arguments.js'

export const KEY_BYTES_MAX = 250
const HASH_BITS = 18
const HASH_MASK = (1 << HASH_BITS) - 1

export class KeyHash {
  /** The key that was hashed last, and behind it zeros up to a whole word. */
  readonly bytes: Buffer
  /** The same bytes. */
  readonly view: DataView
  place = 0
  tag = 0
  /** Its last four bytes, of a key that has as many. */
  tail = 0
  /** The lanes. */
  #a = 0
  #b = 0
  readonly #seed0: number
  readonly #seed1: number

  /** Two random numbers of 32 bits. */
  constructor(seed0: number, seed1: number) {
    const memory = new ArrayBuffer(256)
    this.bytes = Buffer.from(memory)
    this.view = new DataView(memory)
    this.#seed0 = seed0 | 0
    this.#seed1 = seed1 | 0
  }

  /**
   * Sets `place`, `tag`, `tail` and `bytes`, and returns the length of the key in bytes (of a string: in UTF-8). Of a length of 0
   * or above 250, which no key may have, `place` and `tag` stay what they were. 0 for what is neither text nor bytes.
   */
  hash(key: string | Uint8Array): number {
    if (typeof key === 'string') return this.#hashString(key)
    if (!isBytes(key)) return 0
    return this.#hashBytes(key, 0, key.length)
  }

  /** As `hash`, of a key that lies in a page: 1 to 250 bytes. */
  hashIn(page: Uint8Array, at: number, length: number): void {
    this.#hashBytes(page, at, length)
  }

  #hashBytes(bytes: Uint8Array, start: number, length: number): number {
    if (length === 0 || length > KEY_BYTES_MAX) return length
    const { view } = this
    let a = this.#seed0 ^ length
    let b = this.#seed1
    let word = 0
    let i = 0
    for (; i + 4 <= length; i += 4) {
      const at = start + i
      word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
      view.setInt32(i, word, true)
      a = Math.imul(a ^ word, 0x9e3779b1)
      b = Math.imul(((b << 13) | (b >>> 19)) + word, 0x85ebca6b)
      a = (((a << 15) | (a >>> 17)) + b) | 0
      b ^= a >>> 11
    }
    let rest = 0
    for (let at = i; at < length; at++) rest |= bytes[start + at]! << ((at & 3) << 3)
    this.#a = a
    this.#b = b
    this.#end(word, rest, length)
    return length
  }

  #hashString(key: string): number {
    const { length } = key
    if (length === 0) return 0
    if (length > KEY_BYTES_MAX) return Buffer.byteLength(key)
    const { view } = this
    let a = this.#seed0 ^ length
    let b = this.#seed1
    let units = 0
    let word = 0
    let i = 0
    for (; i + 4 <= length; i += 4) {
      const unit0 = key.charCodeAt(i)
      const unit1 = key.charCodeAt(i + 1)
      const unit2 = key.charCodeAt(i + 2)
      const unit3 = key.charCodeAt(i + 3)
      units |= unit0 | unit1 | unit2 | unit3
      word = unit0 | (unit1 << 8) | (unit2 << 16) | (unit3 << 24)
      view.setInt32(i, word, true)
      // As in #hashBytes.
      a = Math.imul(a ^ word, 0x9e3779b1)
      b = Math.imul(((b << 13) | (b >>> 19)) + word, 0x85ebca6b)
      a = (((a << 15) | (a >>> 17)) + b) | 0
      b ^= a >>> 11
    }
    let rest = 0
    for (let at = i; at < length; at++) {
      const unit = key.charCodeAt(at)
      units |= unit
      rest |= unit << ((at & 3) << 3)
    }
    if (units > 127) return this.#hashUnicode(key)
    this.#a = a
    this.#b = b
    this.#end(word, rest, length)
    return length
  }

  /** Copies the key at hand. */
  copyTo(target: DataView, at: number, length: number): void {
    const { view } = this
    let i = 0
    for (; i + 4 <= length; i += 4) target.setInt32(at + i, view.getInt32(i, true), true)
    for (; i < length; i++) target.setUint8(at + i, view.getUint8(i))
  }

  /** Some 50 times slower than ASCII: a call into the runtime, or two. */
  #hashUnicode(key: string): number {
    const length = Buffer.byteLength(key)
    if (length > KEY_BYTES_MAX) return length
    this.bytes.write(key)
    return this.#hashBytes(this.bytes, 0, length)
  }

  /** After all whole words, the last of them `word`: `rest` has the bytes behind. */
  #end(word: number, rest: number, length: number): void {
    let a = this.#a
    let b = this.#b
    const bits = (length & 3) << 3
    this.tail = word
    if (bits !== 0) {
      this.tail = (word >>> bits) | (rest << (32 - bits))
      this.view.setInt32(length & ~3, rest, true)
      a = Math.imul(a ^ rest, 0x9e3779b1)
      b = Math.imul(((b << 13) | (b >>> 19)) + rest, 0x85ebca6b)
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
