/**
 * What an image keeps of reset zones.
 */
import { expect, test } from 'vitest'
import { spareOfImage } from '../../daemon/image-spare.js'

const MIB = 1024 * 1024
const spareBytes = 64 * MIB

test.each([
  ['a roomy disk: all that may be', { spareBytes }, 100_000 * MIB, 64 * MIB],
  ['a sixteenth of what is free', { spareBytes }, 160 * MIB, 10 * MIB],
  ['whole bytes', { spareBytes }, 31, 1],
  ['a full disk: nothing', { spareBytes }, 0, 0],
  ['no limit is no limit', { spareBytes, limitBytes: 0, tier: null }, 16 * MIB, MIB],
  ['a limit', { spareBytes, limitBytes: 1024 * MIB }, 100_000 * MIB, 0],
  ['a tier', { spareBytes, tier: '/cold' }, 100_000 * MIB, 0],
  ['a media that keeps nothing', {}, 100_000 * MIB, 0],
])('%s', (_name, media, freeBytes, expected) => {
  expect(spareOfImage(media, freeBytes)).toBe(expected)
})
