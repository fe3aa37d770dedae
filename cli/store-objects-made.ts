/**
 * Objects for `fill` and `bench`: the same ones every time.
 *
 * Keys are `k` and 15 digits, so that any of them can be asked for by hand. Values are pieces of a block of random bytes
 * from a fixed seed. Which TTL an object gets hangs on its number alone.
 */
import type { TtlShare } from './store-options.js'

const KEY_DIGITS = 15
const VALUES = 1024
const VALUE_STEP = 61

export const MADE_KEY_BYTES = KEY_DIGITS + 1

/** 32 bits of a number, well mixed (splitmix32 of the golden ratio sequence). */
export function mixed(number: number): number {
  let mix = Math.imul(number + 1, 0x9e3779b9)
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b)
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35)
  return (mix ^ (mix >>> 16)) >>> 0
}

export function madeKey(number: number): string {
  return `k${String(number).padStart(KEY_DIGITS, '0')}`
}

export class MadeObjects {
  readonly #values: Uint8Array[]
  readonly #bounds: number[]
  readonly #ttls: (number | undefined)[]

  constructor(valueBytes: number, mix: readonly TtlShare[]) {
    const block = new Uint8Array(valueBytes + VALUES * VALUE_STEP)
    for (let at = 0; at < block.length; at++) block[at] = mixed(at)
    this.#values = Array.from({ length: VALUES }, (_, at) =>
      block.subarray(at * VALUE_STEP, at * VALUE_STEP + valueBytes),
    )
    const total = mix.reduce((sum, { share }) => sum + share, 0)
    let below = 0
    this.#bounds = mix.map(({ share }) => {
      below += share
      return (below / total) * 2 ** 32
    })
    this.#ttls = mix.map(({ ttlMs }) => (Number.isFinite(ttlMs) ? ttlMs : undefined))
  }

  value(number: number): Uint8Array {
    return this.#values[number % VALUES]!
  }

  /** Milliseconds; undefined: none. */
  ttl(number: number): number | undefined {
    const at = mixed(number)
    let part = 0
    while (part < this.#bounds.length - 1 && at >= this.#bounds[part]!) part++
    return this.#ttls[part]
  }
}
