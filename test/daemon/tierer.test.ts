/**
 * The tierer over a media that is a model, with a clock that is a number: what it moves, when, and that it keeps the contract
 * of NativeMedia.demote(), release() and dropSlot() whatever is written and reset meanwhile.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { untilTurnsEnd } from '../../daemon/grace.js'
import { Tierer, type TiererOptions, type TierMedia } from '../../daemon/tierer.js'
import {
  PAGE_COMPRESSED,
  PAGE_RAW,
  PAGE_TIERED,
  type RegionStats,
} from '../../ublk-native/index.js'
import { Prng } from '../fakes/prng.js'

const EAGAIN = 11
const EIO = 5
const PAGE_BYTES = 4096
const CHUNK_PAGES = 256
const PAGES = 1024

/** A media of regions of kinds, and their zones, as strict as its contract. */
class Model implements TierMedia {
  readonly kinds: number[][]
  readonly slots: number[]
  readonly changes: number[]
  readonly log: string[] = []
  nowMs = 0
  /** Grace periods that have ended. */
  graces = 0
  /** When pages of a region went to the tier last, or a slot was dropped: in graces. */
  readonly demotedAt = new Map<number, number>()
  readonly droppedAt = new Map<number, number>()
  failNext = 0
  wroteBytes = 0
  /** Called in the middle of a demotion. */
  meanwhile: (region: number) => void = () => {}
  spareBytes = 0

  constructor(readonly count: number) {
    this.kinds = Array.from({ length: count }, () => [])
    this.slots = new Array(count).fill(0)
    this.changes = new Array(count).fill(0)
  }

  write(region: number, kind: number, pages = 1): void {
    for (let i = 0; i < pages && this.kinds[region]!.length < PAGES; i++)
      this.kinds[region]!.push(kind)
    this.changes[region]!++
  }

  reset(region: number): void {
    this.kinds[region] = []
    this.changes[region]!++
    this.demotedAt.delete(region)
  }

  count4(region: number, kind: number): number {
    return this.kinds[region]!.filter(is => is === kind).length
  }

  tiered(region: number): number {
    return this.kinds[region]!.filter(is => is >= PAGE_TIERED).length
  }

  get memoryPages(): number {
    return this.kinds.flat().filter(is => is < PAGE_TIERED).length
  }

  stats(): ReturnType<TierMedia['stats']> {
    const regions = this.kinds.map(
      (_, region): RegionStats => ({
        rawPages: this.count4(region, PAGE_RAW),
        compressedPages: this.count4(region, PAGE_COMPRESSED),
        fillPages: 0,
        compressedBytes: 0,
        memoryBytes: 0,
        slot: this.slots[region]!,
        tier: { pages: this.tiered(region), bytes: 0, readPages: 0, writtenPages: 0 },
      }),
    )
    const memoryBytes = this.memoryPages * PAGE_BYTES + this.spareBytes
    return { ...regions[0]!, memoryBytes, spareBytes: this.spareBytes, regions }
  }

  demote(region: number, slot: number, first: number, end: number, wanted: number) {
    const own = this.kinds[region]!
    expect(end).toBeLessThanOrEqual(PAGES)
    expect(slot).toBeGreaterThan(0)
    const has = this.slots[region]!
    if (has !== 0) expect(slot).toBe(has)
    else expect(this.slots).not.toContain(slot)
    expect(this.droppedAt.get(slot) ?? -1, 'a read may look at this slot').toBeLessThan(this.graces)
    const moving: number[] = []
    let next = first
    for (; next < end && moving.length < CHUNK_PAGES; next++)
      if (((wanted >> (own[next] ?? 0)) & 1) === 1) moving.push(next)
    if (moving.length === 0) return { result: 0, next, bytes: 0 }
    const bytes = moving.length * PAGE_BYTES
    this.slots[region] = slot
    this.wroteBytes += bytes
    const before = this.changes[region]!
    this.meanwhile(region)
    if (this.failNext !== 0) {
      const result = this.failNext
      this.failNext = 0
      return { result, next, bytes }
    }
    if (this.changes[region] !== before) return { result: -EAGAIN, next, bytes }
    this.log.push(`${this.nowMs} ms: ${moving.length} of ${region} to ${slot}`)
    for (const page of moving) own[page] = own[page]! | PAGE_TIERED
    this.demotedAt.set(region, this.graces)
    return { result: 0, next, bytes }
  }

  release(region: number): number {
    expect(this.demotedAt.get(region) ?? -1, 'a read may look at this memory').toBeLessThan(
      this.graces,
    )
    this.log.push(`release ${region}`)
    return 0
  }

  dropSlot(region: number): number {
    expect(this.tiered(region)).toBe(0)
    this.log.push(`drop ${this.slots[region]} of ${region}`)
    this.droppedAt.set(this.slots[region]!, this.graces)
    this.slots[region] = 0
    return 0
  }
}

let model: Model
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
    model = new Model(5)
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
    model = new Model(9)
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
    model = new Model(3)
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
    model = new Model(4)
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
    model = new Model(4)
    model.write(1, PAGE_RAW, PAGES)
    await runUntil(tierer(), 100)
    model.write(2, PAGE_RAW, PAGES)
    await runUntil(tierer(), 1000)
    expect(model.slots.slice(1)).toEqual([1, 2, 0])
  })

  it('leaves a zone alone that is written under it, goes on with others, and comes back', async () => {
    model = new Model(4)
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
    model = new Model(4)
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
    model = new Model(2)
    model.write(1, PAGE_RAW, 10)
    const subject = tierer({
      coldMs: 0,
      zone: () => ({ isFull: false, settledPages: 9, changes: model.changes[1]! }),
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

  it.each([
    1, 2, 3, 4, 5,
  ])('keeps the contract while zones are written and reset at random (seed %i)', async seed => {
    const random = new Prng(seed)
    const below = (limit: number): number => random.below(limit)
    model = new Model(9)
    const change = (): void => {
      const region = 1 + below(8)
      if (below(8) === 0) model.reset(region)
      else model.write(region, below(2) === 0 ? PAGE_RAW : PAGE_COMPRESSED, 1 + below(400))
    }
    model.meanwhile = () => {
      if (below(4) === 0) change()
      if (below(20) === 0) model.failNext = -EIO
    }
    const subject = tierer({ slotCount: 4, limitBytes: 4000 * PAGE_BYTES, coldMs: 2000 })
    for (let step = 0; step < 400; step++) {
      for (let i = below(6); i > 0; i--) change()
      model.nowMs += await subject.step()
    }
    model.meanwhile = () => {}
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
