/** What goes to the tier next, as a table; and the budget, by a clock of its own. */
import { describe, expect, it } from 'vitest'
import { Budget, choose, isPressed, type TierZone } from '../../daemon/tier-policy.js'
import { PAGE_COMPRESSED, PAGE_RAW } from '../../ublk-native/index.js'

const COLD_MS = 30_000

/** "full 5s raw 3 compressed 2 slot 1" → a zone. */
function parse(region: number, text: string): TierZone {
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0)
  return {
    region,
    isFull: text.startsWith('full'),
    idleMs: number(/ (\d+)s/) * 1000,
    rawPages: number(/raw (\d+)/),
    compressedPages: number(/compressed (\d+)/),
    slot: number(/slot (\d+)/),
  }
}

function decide(zones: readonly string[], isPressed: boolean, hasFreeSlot: boolean): string {
  const choice = choose({
    zones: zones.map((text, region) => parse(region, text)),
    coldMs: COLD_MS,
    isPressed,
    hasFreeSlot,
  })
  if (choice === null) return 'nothing'
  return `${choice.kinds === 1 << PAGE_RAW ? 'raw' : choice.kinds === 1 << PAGE_COMPRESSED ? 'compressed' : '?'} of ${choice.region}`
}

describe('choose', () => {
  it.each([
    ['there is nothing', [], '', 'nothing'],
    ['raw pages of a full zone go at once', ['full 0s raw 1'], '', 'raw of 0'],
    ['those of a zone that is written stay', ['open 29s raw 1'], '', 'nothing'],
    ['until it is cold', ['open 30s raw 1'], '', 'raw of 0'],
    ['compressed pages of a full zone stay', ['full 29s compressed 9'], '', 'nothing'],
    ['until it is cold, full', ['full 30s compressed 9'], '', 'compressed of 0'],
    ['or not', ['open 30s compressed 9'], '', 'compressed of 0'],
    ['raw before compressed', ['open 99s compressed 9', 'full 1s raw 1'], '', 'raw of 1'],
    ['the longest idle first', ['full 3s raw 9', 'full 5s raw 1', 'full 4s raw 9'], '', 'raw of 1'],
    ['of equals the first', ['full 5s raw 1', 'full 5s raw 9'], '', 'raw of 0'],
    ['pressed: raw pages of any zone', ['open 1s raw 1', 'open 2s raw 1'], 'pressed', 'raw of 1'],
    ['but settled ones first', ['open 9s raw 1', 'full 1s raw 1'], 'pressed', 'raw of 1'],
    [
      'raw ones before cold ones',
      ['open 99s compressed 1', 'open 1s raw 1'],
      'pressed',
      'raw of 1',
    ],
    [
      'cold ones before warm ones',
      ['open 40s compressed 1', 'open 1s compressed 1'],
      'pressed',
      'compressed of 0',
    ],
    ['then any', ['open 0s compressed 1'], 'pressed', 'compressed of 0'],
    [
      'without a free slot only zones that have one',
      ['full 9s raw 1', 'full 1s raw 1 slot 2'],
      'no slot',
      'raw of 1',
    ],
    ['or none', ['full 9s raw 1'], 'pressed, no slot', 'nothing'],
  ] as const)('%s', (_, zones, situation, expected) => {
    expect(decide(zones, situation.includes('pressed'), !situation.includes('no slot'))).toBe(
      expected,
    )
  })
})

it('memory is short past three quarters of the limit', () => {
  expect(isPressed(75, 100)).toBe(false)
  expect(isPressed(76, 100)).toBe(true)
  expect(isPressed(1e15, 0)).toBe(false)
})

describe('Budget', () => {
  it('a second of it at once, then as fast as it says', () => {
    const budget = new Budget(1000, 0)
    let taken = 0
    for (let nowMs = 0; nowMs <= 10_000; nowMs += 10) {
      while (budget.has(nowMs)) {
        budget.take(100)
        taken += 100
      }
      expect(taken).toBeLessThanOrEqual(1000 + nowMs + 100)
    }
    expect(taken).toBeGreaterThanOrEqual(11_000)
  })

  it('saves no more than a second for later', () => {
    const budget = new Budget(1000, 0)
    budget.take(1000)
    expect(budget.has(0)).toBe(false)
    let taken = 0
    while (budget.has(3_600_000)) {
      budget.take(100)
      taken += 100
    }
    expect(taken).toBe(1000)
  })

  it('a large piece is paid for afterwards', () => {
    const budget = new Budget(1000, 0)
    budget.take(5000)
    expect(budget.has(4000)).toBe(false)
    expect(budget.has(4001)).toBe(true)
  })

  it('a clock that goes back earns nothing; 0 is no limit', () => {
    const budget = new Budget(1000, 1000)
    budget.take(1000)
    expect(budget.has(0)).toBe(false)
    const free = new Budget(0, 0)
    free.take(1e12)
    expect(free.has(0)).toBe(true)
  })
})
