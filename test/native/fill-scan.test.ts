/** Every variant of the same-fill scan and of the fill gives what the definition says, at every length and position. */
import { describe, expect, test } from 'vitest'
import { fillBuffer, fillScan, scanVariants } from '../../ublk-native/index.js'
import { random } from './random.js'

const LENGTH_MAX = 4200
const LOW = 0x89abcdef
const HIGH = 0x01234567
const WORD = [0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01]

/** The definition, a byte at a time. */
function isSameFill(bytes: Uint8Array): boolean {
  for (let i = 8; i < bytes.length; i++) if (bytes[i] !== bytes[i % 8]) return false
  return true
}

test('the scalar variant is always there', () => {
  expect(scanVariants()[0]).toBe('scalar')
  console.log(`variants on this processor: ${scanVariants().join(', ')}`)
})

describe.each([...scanVariants(), 'best' as const])('%s', variant => {
  test('fills every length, at every alignment, and touches nothing else', () => {
    for (let length = 0; length <= LENGTH_MAX; length++) {
      const at = length % 9
      const memory = new Uint8Array(LENGTH_MAX + 32).fill(0x77)
      fillBuffer(memory.subarray(at, at + length), LOW, HIGH, variant)
      for (let i = 0; i < length; i++)
        if (memory[at + i] !== WORD[i % 8]) expect.fail(`length ${length} byte ${i}`)
      expect(memory[at + length]).toBe(0x77)
      if (at > 0) expect(memory[at - 1]).toBe(0x77)
    }
  })

  test('is true for same-fill buffers of every length', () => {
    const memory = new Uint8Array(LENGTH_MAX + 16)
    for (let length = 0; length <= LENGTH_MAX; length++) {
      const bytes = memory.subarray(length % 9, (length % 9) + length)
      fillBuffer(bytes, LOW, HIGH, 'scalar')
      if (!fillScan(bytes, variant)) expect.fail(`length ${length}`)
    }
  })

  test('sees every single bit of a page and of odd lengths', () => {
    for (const length of [4096, 4097, 4103, 1024, 513, 264, 136, 72, 24, 17, 16, 15, 9, 8, 3]) {
      const bytes = new Uint8Array(length)
      fillBuffer(bytes, LOW, HIGH, 'scalar')
      for (let bit = 0; bit < length * 8; bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        // From 16 bytes on no bit can change alone; below, only those that have a fellow 8 bytes on.
        const same = length < 16 && isSameFill(bytes)
        if (fillScan(bytes, variant) !== same) expect.fail(`length ${length} bit ${bit}`)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
      expect(fillScan(bytes, variant)).toBe(true)
    }
  })

  test('sees one changed byte at every length', () => {
    const rng = random(`fill-scan ${variant}`)
    const memory = new Uint8Array(LENGTH_MAX)
    for (let length = 1; length <= LENGTH_MAX; length++) {
      const bytes = memory.subarray(0, length)
      fillBuffer(bytes, LOW, HIGH, 'scalar')
      bytes[rng.below(length)]! ^= 1 + rng.below(255)
      if (fillScan(bytes, variant) !== isSameFill(bytes)) expect.fail(`length ${length}`)
    }
  })
})

test('a variant that there is not is a TypeError', () => {
  expect(() => fillScan(new Uint8Array(8), 'neon' as 'best')).toThrow(TypeError)
})
