/** The hash of keys: what is on drives must not change, strings and their bytes are one key, and the bits are even. */
import { describe, expect, test } from 'vitest'
import { KEY_BYTES_MAX, KeyHash } from '../../store/key-hash.js'
import { Prng } from '../fakes/prng.js'

const SEEDS = [0x12345678, 0x9abcdef0] as const

function hashOf(key: string | Uint8Array, hash = new KeyHash(...SEEDS)): [number, number, number] {
  return [hash.hash(key), hash.place, hash.tag]
}

test('what is on a drive is found by every later version', () => {
  expect(['k', 'key:000000000001', 'ключ', 'x'.repeat(250)].map(key => hashOf(key))).toEqual([
    [1, 34579, 45675],
    [16, 21391, 37524],
    [8, 86795, 238444],
    [250, 238116, 197259],
  ])
})

test('a string and its bytes are one key, whatever was hashed before', () => {
  const prng = Prng.fromEnvironment('key hash')
  const used = new KeyHash(...SEEDS)
  for (let round = 0; round < 2000; round++) {
    const alphabet = prng.pick(['ab', 'az09:', 'aé', '日本z', '😀\0', '\uD800b'])
    let key = ''
    const units = 1 + prng.below(60)
    for (let i = 0; i < units; i++) key += alphabet[prng.below(alphabet.length)]
    const bytes = Buffer.from(key)
    expect(hashOf(key, used)).toEqual(hashOf(bytes))
    expect(Buffer.compare(used.bytes.subarray(0, bytes.length), bytes)).toBe(0)
    expect(hashOf(bytes, used)).toEqual(hashOf(bytes))
  }
})

test('lengths: 1 to 250 bytes are hashed, of others only the length is said', () => {
  const hash = new KeyHash(...SEEDS)
  hash.hash('before')
  const { place, tag } = hash
  for (const [key, length] of [
    ['', 0],
    ['x'.repeat(KEY_BYTES_MAX + 1), 251],
    ['é'.repeat(126), 252],
    [new Uint8Array(0), 0],
    [new Uint8Array(251), 251],
  ] as const) {
    expect(hashOf(key, hash)).toEqual([length, place, tag])
  }
  expect(hash.hash('é'.repeat(125))).toBe(250)
})

test('bytes of zero at the end make another key', () => {
  const results = [1, 2, 3, 4, 5, 8, 9].map(length => hashOf(new Uint8Array(length)).slice(1))
  expect(new Set(results.map(String)).size).toBe(results.length)
})

describe('the bits', () => {
  /** The larger the worse: how far counts are from even ones, in standard deviations of the sum. */
  function unevenness(counts: Uint32Array, total: number): number {
    const mean = total / counts.length
    let sum = 0
    for (const count of counts) sum += (count - mean) ** 2 / mean
    return (sum - counts.length) / Math.sqrt(2 * counts.length)
  }

  test.each([
    ['counted', (i: number) => `key:${String(i).padStart(12, '0')}`],
    ['short', (i: number) => i.toString(36)],
    ['in the last byte of many words', (i: number) => `${'a'.repeat(37)}${i}`],
  ])('%s keys fill places and tags evenly', (_, keyOf) => {
    const hash = new KeyHash(...SEEDS)
    const places = new Uint32Array(1 << 12)
    const jumps = new Uint32Array(1 << 6)
    const tags = new Uint32Array(1 << 16)
    const both = new Uint32Array(1 << 16)
    for (let i = 0; i < 200_000; i++) {
      hash.hash(keyOf(i))
      places[hash.place & 0xfff]!++
      jumps[hash.place >>> 12]!++
      tags[hash.tag & 0xffff]!++
      both[(hash.place & 0xff) | ((hash.tag & 0xff) << 8)]!++
    }
    for (const counts of [places, jumps, tags, both]) {
      expect(Math.abs(unevenness(counts, 200_000))).toBeLessThan(6)
    }
  })

  test('each bit of a key and of a seed changes each bit of the result in half of all cases', () => {
    const prng = new Prng(7)
    const counts = new Uint32Array(36 * 36)
    const rounds = 400
    for (let round = 0; round < rounds; round++) {
      const key = new Uint8Array(16).map(() => prng.below(256))
      const [, place, tag] = hashOf(key)
      for (let bit = 0; bit < 36; bit++) {
        const changed = key.slice()
        const at = bit < 32 ? bit * 4 : bit
        if (bit < 32) changed[at >>> 3]! ^= 1 << (at & 7)
        const seeded = new KeyHash(SEEDS[0] ^ (bit === 32 ? 1 : 0), SEEDS[1] ^ (1 << (bit & 31)))
        const [, place2, tag2] = hashOf(changed, bit < 32 ? undefined : seeded)
        for (let out = 0; out < 18; out++) {
          counts[bit * 36 + out]! += ((place ^ place2) >>> out) & 1
          counts[bit * 36 + 18 + out]! += ((tag ^ tag2) >>> out) & 1
        }
      }
    }
    // Five standard deviations of a fair coin: a little more than what 1296 of them show.
    const far = 5 * Math.sqrt(rounds / 4)
    expect([...counts].filter(count => Math.abs(count - rounds / 2) > far)).toEqual([])
  })
})
