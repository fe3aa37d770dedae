/**
 * Makes what has been accepted durable: a group commit of everybody who waits.
 *
 * First all slabs are written and the device is flushed; only then the marks of the copies that they replaced, and flushed
 * again. The other way round a power cut could leave the mark without the record that stands for it, and so neither of
 * the two. Without marks one flush is enough.
 */
import { errnoName } from '../zone-model/index.js'
import type { Burials } from './burials.js'
import { StoreError } from './errors.js'
import { PAGE_BYTES } from './layout.js'
import type { LeavingZones } from './leaving-zones.js'
import { type MarkList, writeMarks } from './marks.js'
import type { ZoneIo } from './zone-io.js'
import type { ZoneKeeper } from './zone-keeper.js'
import { BUSY, type WriterContext, type ZoneWriter } from './zone-writer.js'
import type { Zones } from './zones.js'

export interface CommitterParts {
  readonly io: ZoneIo
  readonly zones: Zones
  readonly writers: readonly ZoneWriter[]
  /** By lifetime class; the engine fills them. */
  readonly marks: readonly MarkList[]
  readonly context: WriterContext
  readonly burials: Burials
  readonly keeper: ZoneKeeper
  readonly leaving: LeavingZones
}

export class Committer {
  flushes = 0
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null
  #failure: unknown = null

  constructor(private readonly parts: CommitterParts) {}

  /** Something accepted before the next commit could not be written: that commit must not resolve. */
  noteFailure(error: unknown): void {
    this.#failure ??= error
  }

  /** Resolves when everything accepted before the call is durable. Rejects with StoreError DEVICE or FULL. */
  commit(): Promise<void> {
    if (this.#running === null) return this.#start()
    // The one under way began too early for this caller; all who come until it ends share the next.
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    )
    return this.#next
  }

  /** Commits if there is anything to, unless a commit is under way. A failure is that of the next commit asked for. */
  commitSoon(): void {
    const { writers, marks, leaving } = this.parts
    const isDirty =
      leaving.count > 0 ||
      writers.some(writer => writer.isDirty) ||
      marks.some(list => list.length > 0)
    if (isDirty && this.#running === null) this.#start().catch(error => this.noteFailure(error))
  }

  /** Writes what is in stages, without making it durable. */
  submit(): void {
    for (const writer of this.parts.writers) writer.submit()
  }

  #start(): Promise<void> {
    this.#next = null
    this.#running = this.#run().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  async #run(): Promise<void> {
    const { marks, burials, keeper } = this.parts
    await burials.settled()
    const leaving = await this.parts.leaving.carry()
    const taken = marks.map(list => list.take())
    const emptied = keeper.takeEmptied()
    try {
      await this.#flush()
      keeper.dropEmptied(emptied)
      let hasMarks = false
      for (const [lifetimeClass, list] of taken.entries()) {
        if (list.length === 0) continue
        hasMarks = true
        await this.#write(lifetimeClass, list)
      }
      if (hasMarks) await this.#flush()
      if (leaving.length > 0) await this.parts.leaving.reset(leaving)
    } catch (error) {
      for (const [lifetimeClass, list] of taken.entries()) marks[lifetimeClass]!.addAll(list)
      throw error
    }
  }

  async #flush(): Promise<void> {
    const { io, writers } = this.parts
    for (const writer of writers) writer.submit()
    await io.settled()
    const failure = this.#failure
    this.#failure = null
    if (failure !== null) throw deviceError('a zone could not be written', failure)
    try {
      await io.flush()
    } catch (error) {
      throw deviceError('the device could not be flushed', error)
    }
    this.flushes++
  }

  async #write(lifetimeClass: number, list: MarkList): Promise<void> {
    const { zones, context } = this.parts
    for (let from = 0; from < list.length; ) {
      const [writer, page] = await this.#marksPage(lifetimeClass)
      const { vzone } = writer
      from += writeMarks(writer.stage!.bytes, page * PAGE_BYTES, context.nextSequence(), list, from)
      zones.marks[vzone]!++
      zones.lastDeadlineMs[vzone] = Math.max(zones.lastDeadlineMs[vzone]!, list.lastDeadlineMs)
      context.ledger.marks += PAGE_BYTES
    }
  }

  /**
   * A page of the class's own zone, or of any: what marks are in lives as long as they have to. Without waiting for a zone
   * that only this commit gives back.
   */
  async #marksPage(lifetimeClass: number): Promise<readonly [ZoneWriter, number]> {
    const { io, keeper, writers } = this.parts
    const own = writers[lifetimeClass]!
    for (;;) {
      const page = own.takeMarksPage()
      if (page >= 0) return [own, page]
      if (page === BUSY && !io.isIdle) {
        await io.progress()
        continue
      }
      keeper.isForMarks = true
      try {
        const open = writers.filter(writer => writer.vzone >= 0)
        for (const writer of [...open, own, ...writers]) {
          const other = writer.takeMarksPage()
          if (other >= 0) return [writer, other]
        }
      } finally {
        keeper.isForMarks = false
      }
      if (io.isIdle) throw noZoneForMarks()
    }
  }
}

function noZoneForMarks(): StoreError {
  return new StoreError(
    'STORE_ERR_FULL',
    "no zone is free for the marks of deleted objects: they may be back after a restart; let objects expire, or open the store with eviction: 'evict'",
  )
}

function deviceError(what: string, cause: unknown): StoreError {
  // Of a commit that nobody waited for: it has been told in words already.
  if (cause instanceof StoreError) return cause
  const isFull = (cause as { code?: unknown }).code === 'ENOSPC'
  // Of a device with direct access it is a negative errno.
  const why = cause instanceof Error ? cause.message : errnoName(-Number(cause))
  const next = isFull ? '; make room in the file system that the drive is on' : ''
  return new StoreError('STORE_ERR_DEVICE', `${what}: ${why}${next}`, { cause })
}
