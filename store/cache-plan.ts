/**
 * How a cache's bytes are divided: records, table, ghost, segment list. The sum is at most what was asked for, and is what the
 * cache will take when it is full.
 */
import { Ghost } from './ghost.js'
import { GRANULE_BYTES, TOGETHER_GRANULES_MAX } from './record-memory.js'
import { RecordTable } from './record-table.js'

export interface RecordCacheOptions {
  /** All the memory of the cache, 256 KiB to 4 GiB. */
  readonly capacityBytes: number
  /** Of a record with its header of 32 bytes, 40 to 65536. It decides how many records there can be. Default 160. */
  readonly meanRecordBytes?: number
  /** Fewer bytes for records than there is room for: to compare caches of equal sizes. */
  readonly recordBytesMax?: number
  /** A power of two, 512 to 1 MiB; by default it follows from the capacity. */
  readonly segmentBytes?: number
}

export interface CachePlan {
  /** What records may take: a multiple of 8. */
  readonly recordBytes: number
  readonly segments: number
  readonly segmentBytes: number
  readonly objectsMax: number
  readonly ghostsMax: number
  readonly memoryBytes: {
    readonly records: number
    readonly table: number
    readonly ghost: number
    readonly segments: number
  }
}

const KIB = 1024
const MIB = 1024 * KIB
/** Of `capacityBytes`. */
export const CACHE_BYTES_MIN = 256 * KIB
export const CACHE_BYTES_MAX = 4096 * MIB
const MEAN_RECORD_BYTES = 160
/** Two rings, each with a part of a segment at its head and its tail; one more while a record moves, one for the rounding. */
const SLACK_SEGMENTS = 6
/** What a segment may leave empty at its end. */
const EMPTY_BYTES_MAX = (TOGETHER_GRANULES_MAX - 1) * GRANULE_BYTES

function inRange(name: string, value: number, min: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  throw new RangeError(`${name} is ${value}; it must be an integer from ${min} to ${max}`)
}

/** Where what segments leave empty at their ends and the slack of segments are about equally small. */
function segmentBytesFor(capacityBytes: number): number {
  const best = Math.sqrt((capacityBytes * EMPTY_BYTES_MAX) / 2 / SLACK_SEGMENTS)
  const powerOfTwo = 2 ** Math.round(Math.log2(best))
  return Math.min(Math.max(powerOfTwo, 4 * KIB), MIB)
}

function planFor(recordBytes: number, segmentBytes: number, meanRecordBytes: number): CachePlan {
  const segments = Math.ceil(recordBytes / (segmentBytes - EMPTY_BYTES_MAX)) + SLACK_SEGMENTS
  const objectsMax = Math.max(1, Math.floor(recordBytes / meanRecordBytes))
  const ghostsMax = Math.ceil(objectsMax * 0.9)
  const memoryBytes = {
    records: segments * segmentBytes,
    table: RecordTable.memoryBytes(objectsMax),
    ghost: Ghost.memoryBytes(ghostsMax),
    segments: segments * 4,
  }
  return { recordBytes, segments, segmentBytes, objectsMax, ghostsMax, memoryBytes }
}

function totalBytes({ memoryBytes: { records, table, ghost, segments } }: CachePlan): number {
  return records + table + ghost + segments
}

/** The plan with the most room for records. Throws a RangeError that names the option, its value and the range. */
export function planCache(options: RecordCacheOptions): CachePlan {
  const capacityBytes = inRange(
    'capacityBytes',
    options.capacityBytes,
    CACHE_BYTES_MIN,
    CACHE_BYTES_MAX,
  )
  const mean = inRange('meanRecordBytes', options.meanRecordBytes ?? MEAN_RECORD_BYTES, 40, 65536)
  const wantedBytes = options.recordBytesMax ?? capacityBytes
  inRange('recordBytesMax', wantedBytes, KIB, capacityBytes)
  const segmentBytes = options.segmentBytes ?? segmentBytesFor(capacityBytes)
  inRange('segmentBytes', segmentBytes, 512, MIB)
  if (2 ** Math.round(Math.log2(segmentBytes)) !== segmentBytes)
    throw new RangeError(`segmentBytes is ${segmentBytes}; it must be a power of two`)
  let fits = KIB / GRANULE_BYTES
  let tooMuch = Math.floor(wantedBytes / GRANULE_BYTES) + 1
  while (tooMuch - fits > 1) {
    const middle = Math.floor((fits + tooMuch) / 2)
    const isFit = totalBytes(planFor(middle * GRANULE_BYTES, segmentBytes, mean)) <= capacityBytes
    if (isFit) fits = middle
    else tooMuch = middle
  }
  return planFor(fits * GRANULE_BYTES, segmentBytes, mean)
}
