/**
 * The tierer over a media that is a model, with a clock that is a number: what it moves, when, and that it keeps the contract
 * of NativeMedia.demote(), release() and dropSlot() whatever is written and reset meanwhile.
 */
import { setImmediate } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import { untilTurnsEnd } from '../../daemon/grace.js'
import { Tierer, type TiererOptions } from '../../daemon/tierer.js'
import { PAGE_COMPRESSED, PAGE_RAW } from '../../ublk-native/index.js'
import { Prng } from '../fakes/prng.js'
import { CHUNK_PAGES, PAGE_BYTES, PAGES, TierModel } from '../fakes/tier-model.js'

const EIO = 5

let model: TierModel
const problems: string[] = []
beforeEach(() => {
  problems.length = 0
})

function tierer(options: Partial<TiererOptions> = {}): Tierer {
  return new Tierer({
    media: model,
    firstRegion: 1,
    endRegion: model.count,
    zone: region => ({
      isFull: model.kinds[region]!.length === PAGES,
      writtenPages: model.kinds[region]!.length,
      settledPages: model.kinds[region]!.length,
      changes: model.changes[region]!,
    }),
    slotCount: model.count,
    coldMs: 1000,
    budgetBytesPerSecond: 0,
    limitBytes: 0,
    nowMs: () => model.nowMs,
    untilTurnsEnd: async () => {
      model.graces++
    },
    untilDurable: null,
    onProblem: (action, result) => problems.push(`${action} ${result}`),
    ...options,
  })
}

/** Steps until that time; gives how many. */
async function runUntil(subject: Tierer, endMs: number): Promise<number> {
  let steps = 0
  while (model.nowMs < endMs) {
    model.nowMs += await subject.step()
    steps++
    if (steps > 10_000) throw new Error('it does not wait')
  }
  return steps
}

describe('a tierer', () => {
  it('moves a full zone of raw pages at once, a compressed one when it is cold, and no other', async () => {
    model = new TierModel(5)
    model.write(1, PAGE_RAW, PAGES)
    model.write(2, PAGE_COMPRESSED, 300)
    model.write(0, PAGE_RAW, PAGES)
    const subject = tierer()
    await runUntil(subject, 900)
    model.write(3, PAGE_RAW, 10)
    await runUntil(subject, 1300)
    expect(model.log).toEqual([
      ...[1, 2, 3, 4].map(() => '0 ms: 256 of 1 to 1'),
      'release 1',
      '1000 ms: 256 of 2 to 2',
      '1000 ms: 44 of 2 to 2',
      'release 2',
    ])
    expect(problems).toEqual([])
  })

  it('keeps to its budget', async () => {
    model = new TierModel(9)
    for (let region = 1; region < 9; region++) model.write(region, PAGE_RAW, PAGES)
    const budget = 2 << 20
    const subject = tierer({ budgetBytesPerSecond: budget })
    for (let second = 1; second <= 8; second++) {
      await runUntil(subject, second * 1000)
      const most = budget * (second + 1) + CHUNK_PAGES * PAGE_BYTES
      expect(model.wroteBytes).toBeLessThanOrEqual(most)
      expect(model.wroteBytes).toBeGreaterThan(budget * second - (1 << 20))
    }
  })

  it('past the high-water mark takes warm zones too, and what is spare does not count', async () => {
    model = new TierModel(3)
    model.write(1, PAGE_COMPRESSED, 80)
    const limitBytes = 100 * PAGE_BYTES
    model.spareBytes = limitBytes
    const subject = tierer({ limitBytes, coldMs: 1e9 })
    await runUntil(subject, 500)
    expect(model.tiered(1)).toBe(80)
    model.write(2, PAGE_COMPRESSED, 75)
    await runUntil(subject, 5000)
    expect(model.tiered(2)).toBe(0)
  })

  it('gives the slot of a zone that was reset to another, when no read can look at it', async () => {
    model = new TierModel(4)
    model.write(1, PAGE_RAW, PAGES)
    const subject = tierer({ slotCount: 1 })
    await runUntil(subject, 100)
    model.write(2, PAGE_RAW, PAGES)
    await runUntil(subject, 1000)
    expect(model.tiered(2)).toBe(0)
    model.reset(1)
    await runUntil(subject, 2000)
    expect(model.tiered(2)).toBe(PAGES)
    expect(model.log).toContain('drop 1 of 1')
  })

  it('finds its slots again', async () => {
    model = new TierModel(4)
    model.write(1, PAGE_RAW, PAGES)
    await runUntil(tierer(), 100)
    model.write(2, PAGE_RAW, PAGES)
    await runUntil(tierer(), 1000)
    expect(model.slots.slice(1)).toEqual([1, 2, 0])
  })

  it('leaves a zone alone that is written under it, goes on with others, and comes back', async () => {
    model = new TierModel(4)
    model.write(1, PAGE_RAW, PAGES)
    model.write(2, PAGE_RAW, PAGES)
    model.meanwhile = region => {
      if (region === 1 && model.nowMs < 500) model.changes[1]!++
    }
    await runUntil(tierer(), 900)
    expect([model.tiered(1), model.tiered(2)]).toEqual([0, PAGES])
    await runUntil(tierer(), 3000)
    expect(model.tiered(1)).toBe(PAGES)
    expect(problems).toEqual([])
  })

  it('says what the tier refused, does not ask it all the time, and loses no slot', async () => {
    model = new TierModel(4)
    model.write(1, PAGE_RAW, PAGES)
    const subject = tierer({ slotCount: 1 })
    model.failNext = -EIO
    await runUntil(subject, 4900)
    expect(problems).toEqual([`demote ${-EIO}`])
    expect(model.tiered(1)).toBe(0)
    await runUntil(subject, 6000)
    expect(model.tiered(1)).toBe(PAGES)
  })

  it('does not go over the page again that is being written', async () => {
    model = new TierModel(2)
    model.write(1, PAGE_RAW, 10)
    const subject = tierer({
      coldMs: 0,
      zone: () => ({
        isFull: false,
        writtenPages: 9,
        settledPages: 9,
        changes: model.changes[1]!,
      }),
    })
    await runUntil(subject, 1000)
    expect(model.tiered(1)).toBe(9)
    const asked: number[] = []
    const { demote } = model
    model.demote = (...call) => {
      asked.push(call[0])
      return demote.apply(model, call)
    }
    await runUntil(subject, 2000)
    expect(asked).toEqual([])
  })

  it('of an image gives nothing back before a commit, and asks for none where there is nothing', async () => {
    model = new TierModel(4)
    model.isImage = true
    let asked = 0
    let answer: (isDurable: boolean) => void = () => {}
    const untilDurable = (): Promise<boolean> =>
      new Promise(resolve => {
        asked++
        answer = resolve
      })
    const subject = tierer({ slotCount: 1, untilDurable })
    await subject.step()
    expect(asked).toBe(0)
    model.write(1, PAGE_RAW, PAGES)
    let step = subject.step()
    await setImmediate()
    expect([asked, model.tiered(1), model.log.includes('release 1')]).toEqual([1, PAGES, false])
    answer(false)
    expect(await step).toBeGreaterThan(0)
    expect(model.log).not.toContain('release 1')
    // A disk that refuses is left alone for a while.
    model.nowMs += 1000
    await subject.step()
    expect(asked).toBe(1)
    model.nowMs += 5000
    step = subject.step()
    await setImmediate()
    model.commits++
    answer(true)
    await step
    expect(model.log).toContain('release 1')
    await subject.step()
    expect(asked).toBe(2)
    model.reset(1)
    model.write(2, PAGE_RAW, PAGES)
    step = subject.step()
    await setImmediate()
    expect([asked, model.slots[1], model.tiered(2)]).toEqual([3, 1, 0])
    model.commits++
    answer(true)
    await step
    expect(model.slots[1]).toBe(0)
    void subject.step()
    expect([model.slots[2], model.tiered(2)]).toEqual([1, PAGES])
  })

  it('of an image that a dead process left releases again what was there, after a commit', async () => {
    model = new TierModel(4)
    model.write(1, PAGE_RAW, PAGES)
    await runUntil(tierer(), 100)
    model.log.length = 0
    model.isImage = true
    model.note(model.demotedAt, 1)
    const untilDurable = async (): Promise<boolean> => {
      model.commits++
      return true
    }
    await tierer({ untilDurable }).step()
    expect(model.log).toEqual(['release 1'])
  })

  it('comes back for pages that a write was touching, when its turn is over', async () => {
    model = new TierModel(2)
    model.write(1, PAGE_RAW, 10)
    const zone = () => ({
      isFull: true,
      writtenPages: 10,
      settledPages: model.graces === 0 ? 6 : 10,
      changes: model.changes[1]!,
    })
    const subject = tierer({ zone })
    await runUntil(subject, 500)
    expect(model.tiered(1)).toBe(6)
    await runUntil(subject, 2000)
    expect(model.tiered(1)).toBe(10)
  })

  it.each([
    [1, false],
    [2, false],
    [3, false],
    [4, true],
    [5, true],
    [6, true],
  ])('keeps the contract while zones are written and reset at random (seed %i, image: %s)', async (seed, isImage) => {
    const random = new Prng(seed)
    const below = (limit: number): number => random.below(limit)
    model = new TierModel(9)
    model.isImage = isImage
    const change = (): void => {
      const region = 1 + below(8)
      if (below(8) === 0) model.reset(region)
      else model.write(region, below(2) === 0 ? PAGE_RAW : PAGE_COMPRESSED, 1 + below(400))
    }
    model.meanwhile = () => {
      if (below(4) === 0) change()
      if (below(20) === 0) model.failNext = -EIO
    }
    let isOver = false
    const commit = async (): Promise<boolean> => {
      for (let i = isOver ? 0 : below(3); i > 0; i--) change()
      const isDurable = below(10) > 0
      if (isDurable) model.commits++
      return isDurable
    }
    const untilDurable = isImage ? commit : null
    const limitBytes = 4000 * PAGE_BYTES
    const subject = tierer({ slotCount: 4, limitBytes, coldMs: 2000, untilDurable })
    for (let step = 0; step < 400; step++) {
      for (let i = below(6); i > 0; i--) change()
      model.nowMs += await subject.step()
    }
    model.meanwhile = () => {}
    isOver = true
    for (let region = 1; region < 9; region++) if (region > 4) model.reset(region)
    await runUntil(subject, model.nowMs + 20_000)
    expect(model.memoryPages).toBe(0)
    expect(model.log.length).toBeGreaterThan(100)
  })
})

describe('untilTurnsEnd', () => {
  it('kicks only those that wait, and ends when all have begun another turn', async () => {
    const turns = [7, 7, 7]
    const kicks = [0, 0, 0]
    let looks = 0
    const delay = async (): Promise<void> => {
      looks++
      if (looks === 1) turns[0]!++
      // The second takes its time to wake.
      if (looks === 3) turns[1]!++
      if (looks === 5) turns[2]!++
    }
    const queues = turns.map((_, i) => ({
      turn: () => turns[i]!,
      kick: () => {
        kicks[i]!++
      },
    }))
    await untilTurnsEnd(queues, delay)
    expect(kicks).toEqual([0, 1, 1])
    expect(looks).toBe(5)
  })

  it('without queues there is nobody to wait for', async () => {
    await untilTurnsEnd([], () => Promise.reject(new Error('waited')))
  })
})
