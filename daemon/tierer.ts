/**
 * Moves pages of one device to its tier, in steps. tier-policy.ts says which; C++ moves them and is sure that what was changed
 * meanwhile stays (docs/BOUNDARY.md). Nothing here is waited for by a request.
 *
 * A step: see what has changed, demote within the budget, wait until every queue has ended the turn that it was in (a read hands
 * memory to the kernel within its turn), give the memory back, and take slots from zones that were reset. Of an image there is
 * more to wait for: a commit that knows where these pages are, and that these zones have none there; the one before it still
 * points to the memory, and into the slots. The clock and both waits are given, so that every decision can be replayed. One thread
 * runs all steps of a device, one after the other.
 */
import {
  type NativeMedia,
  PAGE_COMPRESSED,
  PAGE_RAW,
  type RegionStats,
} from '../ublk-native/index.js'
import { EAGAIN } from '../zone-model/index.js'
import { Budget, type Choice, choose, isPressed, type TierZone } from './tier-policy.js'

/** How much is demoted between two waits for the queues. */
const BATCH_BYTES = 8 * 1024 * 1024
/** Zones that are begun in one step: choosing one looks at all. */
const JOBS_MAX = 64
/** When there is nothing to do, or not now. */
const IDLE_MS = 200
/** The bucket has run dry: soon again. */
const DRY_MS = 20
/** The tier refused: do not ask it all the time. */
const REFUSED_MS = 5000
/** A zone that was changed under a demotion is being written: others first. */
const CHANGED_MS = 1000

const KINDS = { rawPages: 1 << PAGE_RAW, compressedPages: 1 << PAGE_COMPRESSED } as const

export type TierMedia = Pick<NativeMedia, 'stats' | 'demote' | 'release' | 'dropSlot'>

/** A sequential zone as its table has it now. */
export interface ZoneState {
  readonly isFull: boolean
  /** Whole pages below the write pointer. */
  readonly writtenPages: number
  /** Of these, the first ones that no write is touching. */
  readonly settledPages: number
  /** Grows with every write and reset. */
  readonly changes: number
}

export interface TiererOptions {
  readonly media: TierMedia
  /** Regions that are sequential zones: the first, and the one behind the last. */
  readonly firstRegion: number
  readonly endRegion: number
  readonly zone: (region: number) => ZoneState
  readonly slotCount: number
  readonly coldMs: number
  readonly budgetBytesPerSecond: number
  /** 0: no limit. */
  readonly limitBytes: number
  readonly nowMs: () => number
  /** Resolves when every queue has ended the turn it was in. */
  readonly untilTurnsEnd: () => Promise<void>
  /**
   * Of an image: resolves when a commit is durable that began after the call, to whether there is one. null: power cuts are
   * not survived, and nothing waits for commits.
   */
  readonly untilDurable: (() => Promise<boolean>) | null
  /** Something failed that somebody should know of. */
  readonly onProblem: (action: string, result: number) => void
}

/** What the tierer remembers of a zone. */
interface Memory {
  changes: number
  changedAtMs: number
  notBeforeMs: number
  /** `changes` when a scan came to the end of the zone and left nothing of a kind: by kinds. */
  readonly doneAt: Map<number, number>
}

/** A zone that is being gone through, from page `next` to `end`; `changes` is the zone's when that began. */
interface Job extends Choice {
  next: number
  readonly end: number
  /** Whether a write is touching pages behind `end`. */
  readonly isPart: boolean
  readonly changes: number
}

export class Tierer {
  readonly #options: TiererOptions
  readonly #budget: Budget
  readonly #memory: Memory[] = []
  readonly #freeSlots = new Set<number>()
  /** Regions with pages in the tier that may have memory. */
  readonly #unreleased = new Set<number>()
  #job: Job | null = null
  /** A write was in the way: it is over with the turn that it is of. */
  #isCutShort = false
  #refusedUntilMs = Number.NEGATIVE_INFINITY
  /** A commit has failed: do not ask for one all the time. */
  #unsafeUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: TiererOptions) {
    this.#options = options
    const nowMs = options.nowMs()
    this.#budget = new Budget(options.budgetBytesPerSecond, nowMs)
    for (let slot = 1; slot <= options.slotCount; slot++) this.#freeSlots.add(slot)
    const { regions } = options.media.stats()
    for (let region = options.firstRegion; region < options.endRegion; region++) {
      const { slot, tier } = regions[region]!
      this.#freeSlots.delete(slot)
      // A process that was killed has not released them, or not all: what the last commit says nobody here knows.
      if (options.untilDurable !== null && tier.pages > 0) this.#unreleased.add(region)
      const { changes } = options.zone(region)
      this.#memory[region] = {
        changes,
        changedAtMs: nowMs,
        notBeforeMs: nowMs,
        doneAt: new Map(),
      }
    }
  }

  /** One step. Resolves to how many milliseconds the next should wait. */
  async step(): Promise<number> {
    const { media, nowMs } = this.#options
    const { regions, memoryBytes, spareBytes } = media.stats()
    const emptied = this.#findEmptied(regions)
    const zones = this.#look(regions).filter(({ region }) => !emptied.includes(region))
    const pressed = isPressed(memoryBytes - spareBytes, this.#options.limitBytes)
    let moved = 0
    let isDry = false
    let jobs = 0
    while (moved < BATCH_BYTES && jobs < JOBS_MAX && nowMs() >= this.#refusedUntilMs) {
      isDry = !this.#budget.has(nowMs())
      if (isDry) break
      if (this.#job === null) jobs++
      this.#job ??= this.#nextJob(zones, pressed)
      if (this.#job === null) break
      const { region } = this.#job
      const bytes = this.#demote(regions, zones)
      if (bytes > 0) this.#unreleased.add(region)
      moved += bytes
    }
    if (this.#unreleased.size + emptied.length > 0 && nowMs() >= this.#unsafeUntilMs)
      await this.#settle(regions, emptied)
    else if (this.#isCutShort) await this.#options.untilTurnsEnd()
    this.#isCutShort = false
    if (moved >= BATCH_BYTES || jobs === JOBS_MAX) return 0
    return isDry ? DRY_MS : IDLE_MS
  }

  /** Zones that have nothing in the tier any more (they were reset) need no slot. Nothing goes there before it is taken. */
  #findEmptied(regions: readonly RegionStats[]): number[] {
    const { firstRegion, endRegion } = this.#options
    const emptied: number[] = []
    for (let region = firstRegion; region < endRegion; region++) {
      const { slot, tier } = regions[region]!
      if (slot !== 0 && tier.pages === 0 && this.#job?.region !== region) emptied.push(region)
    }
    return emptied
  }

  /** When no read and no commit looks there any more: the memory of what has moved, and slots of emptied regions. */
  async #settle(regions: readonly RegionStats[], emptied: readonly number[]): Promise<void> {
    const { media, nowMs, untilTurnsEnd, untilDurable } = this.#options
    const [isDurable] = await Promise.all([untilDurable?.() ?? true, untilTurnsEnd()])
    if (!isDurable) {
      this.#unsafeUntilMs = nowMs() + REFUSED_MS
      return
    }
    for (const region of this.#unreleased) this.#check('release', media.release(region))
    this.#unreleased.clear()
    for (const region of emptied) {
      this.#check('discard', media.dropSlot(region))
      this.#freeSlots.add(regions[region]!.slot)
    }
  }

  /** What has changed since the last step, and what each zone has to give. */
  #look(regions: readonly RegionStats[]): TierZone[] {
    const { zone, nowMs, firstRegion, endRegion } = this.#options
    const now = nowMs()
    const zones: TierZone[] = []
    for (let region = firstRegion; region < endRegion; region++) {
      const { rawPages, compressedPages, slot } = regions[region]!
      if (rawPages + compressedPages === 0) continue
      const memory = this.#memory[region]!
      const { isFull, changes } = zone(region)
      if (changes !== memory.changes) {
        memory.changes = changes
        memory.changedAtMs = now
      }
      if (now < memory.notBeforeMs) continue
      zones.push({
        region,
        isFull,
        idleMs: now - memory.changedAtMs,
        rawPages,
        compressedPages,
        slot,
      })
    }
    return zones
  }

  #nextJob(zones: readonly TierZone[], isPressed: boolean): Job | null {
    const choice = choose({
      zones: zones.map(zone => this.#withoutDone(zone)),
      coldMs: this.#options.coldMs,
      isPressed,
      hasFreeSlot: this.#freeSlots.size > 0,
    })
    if (choice === null) return null
    const { settledPages, writtenPages, changes } = this.#options.zone(choice.region)
    const isPart = settledPages < writtenPages
    return { ...choice, next: 0, end: settledPages, isPart, changes }
  }

  /** Pages that a scan has left behind (the one that is being written) are not looked for again before the zone changes. */
  #withoutDone(zone: TierZone): TierZone {
    const { changes, doneAt, notBeforeMs } = this.#memory[zone.region]!
    const isLater = this.#options.nowMs() < notBeforeMs
    const left = (kind: 'rawPages' | 'compressedPages'): number =>
      isLater || (doneAt.get(KINDS[kind]) ?? -1) >= changes ? 0 : zone[kind]
    return { ...zone, rawPages: left('rawPages'), compressedPages: left('compressedPages') }
  }

  /** One call. Gives the bytes that moved. */
  #demote(regions: readonly RegionStats[], zones: TierZone[]): number {
    const { media, nowMs } = this.#options
    const job = this.#job!
    const stats = regions[job.region]!
    const [free] = this.#freeSlots
    const slot = stats.slot === 0 ? free! : stats.slot
    const { result, next, bytes } = media.demote(job.region, slot, job.next, job.end, job.kinds)
    const memory = this.#memory[job.region]!
    if (result === 0) {
      job.next = next
      if (next >= job.end) this.#endJob(job)
    } else {
      this.#job = null
      memory.notBeforeMs = nowMs() + CHANGED_MS
      if (result !== -EAGAIN) this.#refusedUntilMs = nowMs() + REFUSED_MS
      if (result !== -EAGAIN) this.#check('demote', result)
    }
    if (bytes > 0 && stats.slot === 0) {
      this.#freeSlots.delete(slot)
      stats.slot = slot
      const at = zones.findIndex(({ region }) => region === job.region)
      zones[at] = { ...zones[at]!, slot }
    }
    this.#budget.take(bytes)
    return result === 0 ? bytes : 0
  }

  #endJob({ region, kinds, changes, isPart }: Job): void {
    const memory = this.#memory[region]!
    this.#job = null
    if (!isPart) memory.doneAt.set(kinds, changes)
    else memory.notBeforeMs = this.#options.nowMs() + CHANGED_MS
    this.#isCutShort ||= isPart
  }

  #check(action: string, result: number): void {
    if (result < 0) this.#options.onProblem(action, result)
  }
}
