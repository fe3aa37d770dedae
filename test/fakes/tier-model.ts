/**
 * A media of regions of kinds for the tierer, and their zones, as strict as the contract of NativeMedia.demote(), release() and
 * dropSlot(): each expects that no read and, of an image, no commit can look at what is taken.
 */
import { expect } from 'vitest'
import type { TierMedia } from '../../daemon/tierer.js'
import {
  PAGE_COMPRESSED,
  PAGE_RAW,
  PAGE_TIERED,
  type RegionStats,
} from '../../ublk-native/index.js'

const EAGAIN = 11
export const PAGE_BYTES = 4096
export const CHUNK_PAGES = 256
export const PAGES = 1024

/** In graces and commits. */
interface Moment {
  graces: number
  commits: number
}

export class TierModel implements TierMedia {
  readonly kinds: number[][]
  readonly slots: number[]
  readonly changes: number[]
  readonly log: string[] = []
  nowMs = 0
  /** Grace periods that have ended. */
  graces = 0
  /** Of an image: commits that have succeeded. */
  commits = 0
  isImage = false
  /** When pages of a region went to the tier last, or a region with a slot was reset. */
  readonly demotedAt = new Map<number, Moment>()
  readonly emptiedAt = new Map<number, Moment>()
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
    // The reset of an image's zone is acknowledged when it is durable.
    const emptied = this.emptiedAt.get(region)
    if (this.isImage && emptied?.commits === this.commits) return
    for (let i = 0; i < pages && this.kinds[region]!.length < PAGES; i++)
      this.kinds[region]!.push(kind)
    this.changes[region]!++
  }

  reset(region: number): void {
    this.kinds[region] = []
    this.changes[region]!++
    this.demotedAt.delete(region)
    if (this.slots[region] !== 0 && !this.emptiedAt.has(region)) this.note(this.emptiedAt, region)
  }

  note(moments: Map<number, Moment>, region: number): void {
    moments.set(region, { graces: this.graces, commits: this.commits })
  }

  /** Of an image, the last commit must be younger too. */
  expectPast({ graces, commits }: Moment = { graces: -1, commits: -1 }, what: string): void {
    expect(graces, `a read may look at ${what}`).toBeLessThan(this.graces)
    if (this.isImage) expect(commits, `a commit points to ${what}`).toBeLessThan(this.commits)
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
    const moving: number[] = []
    let next = first
    for (; next < end && moving.length < CHUNK_PAGES; next++)
      if (((wanted >> (own[next] ?? 0)) & 1) === 1) moving.push(next)
    if (moving.length === 0) return { result: 0, next, bytes: 0 }
    const emptied = this.emptiedAt.get(region)
    // Its own old bytes: what a read sees of a zone that is reset meanwhile is anybody's guess.
    if (this.isImage && emptied !== undefined)
      expect(emptied.commits, 'a commit points to this slot').toBeLessThan(this.commits)
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
    this.note(this.demotedAt, region)
    this.emptiedAt.delete(region)
    return { result: 0, next, bytes }
  }

  release(region: number): number {
    this.expectPast(this.demotedAt.get(region), 'this memory')
    this.log.push(`release ${region}`)
    return 0
  }

  dropSlot(region: number): number {
    expect(this.tiered(region)).toBe(0)
    this.log.push(`drop ${this.slots[region]} of ${region}`)
    this.expectPast(this.emptiedAt.get(region), 'this slot')
    this.emptiedAt.delete(region)
    this.slots[region] = 0
    return 0
  }
}
