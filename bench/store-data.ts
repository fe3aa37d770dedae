/**
 * The objects of the store's benches: 16-byte keys and 128-byte values, random, the same each time.
 *
 * A key is 16 letters made of its number (a bijection: no two are alike), so that a bench of ten million needs no list of them.
 * A value is one of 4096 random ones: they stay in the processor's cache, so that what is measured is the store.
 */
import { generator } from './data.js'

export const KEY_BYTES = 16
export const VALUE_BYTES = 128
/** Of one object: what has to be kept. */
export const PAYLOAD_BYTES = KEY_BYTES + VALUE_BYTES
const VALUES = 4096
const LETTERS = Buffer.from(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
  'latin1',
)
const SEED = 20261121

/** A permutation of the 32-bit numbers: a hash of which no two have the same. */
export function scrambled(number: number, seed: number): number {
  let hash = (number + seed) | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** Letters from each of three hashes of the number: the first six alone are as good as all of its bits. */
const LETTERS_OF_HASH = [6, 5, 5]

/** Writes the key of an object to the begin of `target`. */
export function keyInto(target: Uint8Array, number: number): void {
  let at = 0
  for (let part = 0; part < LETTERS_OF_HASH.length; part++) {
    let bits = scrambled(number, SEED * part)
    for (let i = 0; i < LETTERS_OF_HASH[part]!; i++) {
      target[at++] = LETTERS[bits & 63]!
      bits >>>= 6
    }
  }
}

/** A key as a string of its own, as it comes out of a request. */
export function keyOf(number: number): string {
  const bytes = Buffer.allocUnsafe(KEY_BYTES)
  keyInto(bytes, number)
  return bytes.toString('latin1')
}

/** Keys in the order of their use, as fresh strings: none of them is the object that a Map holds. */
export function keyStrings(order: Uint32Array): string[] {
  const keys: string[] = []
  for (let i = 0; i < order.length; i++) keys.push(keyOf(order[i]!))
  return keys
}

export const inOrder = (count: number): Uint32Array => new Uint32Array(count).map((_, i) => i)

/** All numbers below `count` in random order. */
export function shuffled(count: number, seed: number): Uint32Array {
  const order = inOrder(count)
  const next = generator(seed)
  for (let i = count - 1; i > 0; i--) {
    const other = next() % (i + 1)
    const held = order[i]!
    order[i] = order[other]!
    order[other] = held
  }
  return order
}

const pool: Buffer[] = []
/** The value of an object. */
export function valueFor(number: number): Buffer {
  if (pool.length === 0) {
    const next = generator(SEED)
    for (let i = 0; i < VALUES; i++)
      pool.push(Buffer.from(Uint8Array.from({ length: VALUE_BYTES }, () => next() >>> 24)))
  }
  return pool[number & (VALUES - 1)]!
}

/** p50, p99 and p99.9 of samples, which are sorted in place. */
export function percentiles(samples: Float64Array): { p50: number; p99: number; p999: number } {
  samples.sort()
  const at = (share: number): number =>
    samples[Math.min(samples.length - 1, Math.floor(samples.length * share))]!
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

/** Of an operation, in nanoseconds. */
export interface Cost {
  /** Processor time, of all threads of the process. */
  readonly cpu: number
  readonly wall: number
}

/** What `count` operations cost each. Garbage from before is collected first. */
export async function costOf(count: number, action: () => void | Promise<void>): Promise<Cost> {
  globalThis.gc?.()
  const cpu = cpuMs()
  const start = performance.now()
  await action()
  const wall = performance.now() - start
  return { cpu: ((cpuMs() - cpu) * 1e6) / count, wall: (wall * 1e6) / count }
}

const MISS_STEPS = 2_000_000

/**
 * One dependent miss: a walk along a random cycle through 256 MiB, a cache line each. What a lookup in a table larger than the
 * caches costs at least.
 */
export async function missCost(): Promise<Cost> {
  const lines = (256 * 1024 * 1024) / 64
  const words = new Uint32Array(lines * 16)
  const order = shuffled(lines, SEED)
  for (let i = 0; i < lines; i++) words[order[i]! * 16] = order[(i + 1) % lines]! * 16
  let at = 0
  const cost = await costOf(MISS_STEPS, () => {
    for (let i = 0; i < MISS_STEPS; i++) at = words[at]!
  })
  if (at === 1) throw new Error('not on the cycle')
  return cost
}

/** Milliseconds of processor time of this process, all its threads. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
