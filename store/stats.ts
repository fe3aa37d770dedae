/**
 * What the store says of itself: bytes written by cause, bytes of memory by component, zones, reads.
 */
import type { DriveReader } from './drive-reader.js'
import type { Engine } from './engine.js'
import { PAGE_BYTES } from './layout.js'
import type { RecordCache } from './record-cache.js'
import type { WriteAmplification } from './write-ledger.js'
import type { ZoneIo } from './zone-io.js'
import type { DropCause, ZoneKeeper } from './zone-keeper.js'

/** All in bytes. What grows with the number of objects is `index`; everything else with zones and classes. */
export interface MemoryLedger {
  readonly index: number
  readonly zones: number
  /** Stages and indexes of open zones. */
  readonly writers: number
  readonly marks: number
  /** The DRAM cache, as large as it was made. */
  readonly cache: number
  /** How often keys were read, for `eviction: 'reinsert'`. */
  readonly heat: number
  /** Zones of a drive in memory that are in use. */
  readonly drive: number
  readonly total: number
}

export interface StoreStats {
  readonly objects: number
  /** Bytes of keys and values that were neither deleted nor taken back; of zones that a start found, what their pages hold. */
  readonly liveBytes: number
  readonly zones: {
    readonly total: number
    readonly free: number
    readonly open: number
    readonly sealed: number
  }
  /** Zones taken back, by cause. */
  readonly drops: Readonly<Record<DropCause, number>>
  /** Objects that lived when their zone was evicted or failed. */
  readonly objectsLost: number
  /** Objects that moved before their zone was evicted (`eviction: 'reinsert'`). */
  readonly objectsMoved: number
  readonly writes: WriteAmplification
  readonly reads: {
    readonly pages: number
    /** Pages in which the key was not: the price of short tags. */
    readonly pagesWithoutKey: number
    /** Pages that could not be read, or were not what had been written: their objects are lost. */
    readonly damaged: number
  }
  readonly cache: {
    readonly hits: number
    readonly misses: number
    readonly objects: number
  } | null
  readonly lifetimeBoundaries: readonly number[]
  readonly memory: MemoryLedger
}

export interface StatsSources {
  readonly engine: Engine
  readonly io: ZoneIo
  readonly reader: DriveReader
  readonly keeper: ZoneKeeper
  readonly cache: RecordCache | null
  /** The drive is in memory. */
  readonly isVolatile: boolean
}

export function collectStats(sources: StatsSources): StoreStats {
  const { engine, io, reader, keeper, cache } = sources
  const { zones, writers, index, ledger, classes } = engine.parts
  let live = 0
  let inUse = 0
  for (const vzone of zones.virtualOf) {
    if (vzone < 0 || !zones.isInUse(vzone)) continue
    inUse++
    live += zones.liveBytes[vzone]!
  }
  const open = writers.filter(writer => writer.vzone >= 0).length
  return {
    objects: index.entries,
    liveBytes: live,
    zones: { total: zones.virtualOf.length, free: zones.freeCount, open, sealed: inUse - open },
    drops: { ...keeper.drops },
    objectsLost: keeper.recordsLost,
    objectsMoved: keeper.recordsMoved,
    writes: ledger.report(io.bytesWritten),
    reads: { pages: reader.pages, pagesWithoutKey: reader.withoutKey, damaged: reader.damaged },
    cache:
      cache === null
        ? null
        : { hits: cache.stats.hits, misses: cache.stats.misses, objects: cache.stats.objects },
    lifetimeBoundaries: classes.boundariesMs,
    memory: ledgerOf(sources),
  }
}

function ledgerOf({ engine, cache, isVolatile }: StatsSources): MemoryLedger {
  const { zones, writers, index, marks, heat } = engine.parts
  const parts = {
    index: index.memoryBytes().total,
    zones: zones.memoryBytes,
    writers: sum(writers.map(writer => writer.memoryBytes)),
    marks: sum(marks?.map(list => list.memoryBytes) ?? []),
    cache: cache === null ? 0 : sum(Object.values(cache.stats.memoryBytes)),
    heat: heat?.memoryBytes ?? 0,
    drive: isVolatile ? pagesInUse(engine) * PAGE_BYTES : 0,
  }
  return { ...parts, total: sum(Object.values(parts)) }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** Pages of zones in use that are not in a stage. */
function pagesInUse(engine: Engine): number {
  const { zones, writers } = engine.parts
  let pages = 0
  for (const vzone of zones.virtualOf) if (vzone >= 0) pages += zones.pagesUsed[vzone]!
  for (const writer of writers) if (writer.vzone >= 0) pages -= writer.nextPage - writer.stageBase
  return pages
}
