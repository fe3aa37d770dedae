/** The ring of refused requests: the newest are kept, whatever came before. */
import { expect, it } from 'vitest'
import { REFUSAL_RING_WORDS, REFUSALS_MAX, Refusals } from '../../daemon/refusals.js'

function ring(begin = 0): {
  words: Int32Array
  refusals: Refusals
  refuse: (zone: number) => void
} {
  const words = new Int32Array(REFUSAL_RING_WORDS)
  words[0] = begin
  const refusals = new Refusals(words)
  return { words, refusals, refuse: zone => refusals.record(1, 8, 1, 4, zone, 7, 0x1bc, 0) }
}

it('gives back what was recorded, oldest first', () => {
  const { refusals, refuse } = ring()
  expect(refusals.last(10)).toEqual([])
  for (let zone = 0; zone < 5; zone++) refuse(zone)
  expect(refusals.last(2).map(({ zone, sequence }) => [zone, sequence])).toEqual([
    [3, 4],
    [4, 5],
  ])
  expect(refusals.last(10)).toHaveLength(5)
  expect(refusals.last(1)[0]).toMatchObject({ startSector: 2 ** 32 + 8, sectors: 4, status: 0x1bc })
})

it(`keeps ${REFUSALS_MAX}`, () => {
  const { refusals, refuse } = ring()
  for (let zone = 0; zone < REFUSALS_MAX + 10; zone++) refuse(zone)
  expect(refusals.last(REFUSALS_MAX * 2).map(({ zone }) => zone)).toEqual(
    Array.from({ length: REFUSALS_MAX }, (_, index) => index + 10),
  )
})

it.each([
  ['2^31', 2 ** 31 - 3],
  ['2^32', -3],
])('goes on after %s refusals', (_, begin) => {
  const { words, refusals, refuse } = ring(begin)
  const untouched = words.slice()
  for (let zone = 0; zone < 6; zone++) refuse(zone)
  const found = refusals.last(REFUSALS_MAX)
  expect(found.map(({ zone }) => zone)).toEqual([0, 1, 2, 3, 4, 5])
  expect(found.every(({ sequence }) => sequence > 0)).toBe(true)
  // Nothing but the counter of the header has changed.
  expect(words.slice(1, 16)).toEqual(untouched.slice(1, 16))
})

it('drops a record that is being written', () => {
  const { words, refusals, refuse } = ring()
  for (let zone = 0; zone < 3; zone++) refuse(zone)
  words[16 + 2 * 16] = 0
  expect(refusals.last(10).map(({ zone }) => zone)).toEqual([0, 2])
})
