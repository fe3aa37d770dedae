/**
 * Few keys, written, deleted and written anew in one open slab, whose searches for a slot begin at the same few: the copy that was
 * just written is never taken for the one before it, nor what a free slot still holds for a record.
 */
import { expect, test } from 'vitest'
import { createMemoryDrive, open } from '../../store/index.js'
import { Prng } from '../fakes/prng.js'

const STEPS = 4000
const KEYS = 12

/** Lengths of keys: of less than a word, of whole words, and between. */
test.each([3, 4, 7, 8, 16])('keys of %d bytes', async keyBytes => {
  const prng = Prng.fromEnvironment(`one slab, keys of ${keyBytes} bytes`)
  const device = createMemoryDrive({ zoneCount: 16, zoneSizeBytes: 256 * 1024, maxActive: 4 })
  const store = await open({ device, now: () => 1e12 })
  const values = new Map<string, string>()
  for (let step = 0; step < STEPS; step++) {
    const number = prng.below(KEYS)
    // Some differ at the beginning only, some at the end only.
    const key =
      number < KEYS / 2 ? `${number}`.padEnd(keyBytes, '.') : `${number}`.padStart(keyBytes, '.')
    if (prng.chance(0.6)) {
      // As many as slots of a slab of that length, now more, now less.
      const value = `${step}`.padEnd(prng.pick([250, 251, 1300]), '-')
      store.setSync(key, value, prng.pick([1000, 1000, 1001]))
      values.set(key, value)
    } else {
      expect(await store.delete(key)).toBe(values.delete(key))
    }
    for (let i = 0; i < KEYS; i++) {
      const one = i < KEYS / 2 ? `${i}`.padEnd(keyBytes, '.') : `${i}`.padStart(keyBytes, '.')
      if (store.getSync(one)?.toString() !== values.get(one)) expect.fail(`step ${step}: ${one}`)
    }
    expect(store.size).toBe(values.size)
  }
  await store.close()
})
