/**
 * The control protocol: one JSON object a line over a Unix socket, a request and its reply.
 *
 * request  {"id": 1, "verb": "device.show", "params": {"id": 0}}
 * reply    {"id": 1, "result": {...}}  or  {"id": 1, "error": {"code": "DAEMON_ERR_...", "message": "..."}}
 */
import type { FaultInfo, FaultOrder } from './fault-orders.js'
import type { DeviceOptions } from './options.js'

export type { FaultInfo, FaultOp, FaultOrder } from './fault-orders.js'

/** A device as `device create`, `list` and `show` give it. Sizes in bytes unless the name says otherwise. */
export interface DeviceInfo {
  id: number
  path: string
  pid: number
  /** live: served; orphan: its daemon died and it waits for `recover`; dead: to be deleted. */
  state: 'live' | 'orphan' | 'dead' | 'off'
  zones: number
  conventional: number
  zoneSize: number
  zoneCapacity: number
  bytes: number
  blockSize: number
  maxOpen: number
  maxActive: number
  maxAppend: number
  queues: number
  depth: number
  recovery: boolean
  sameFill: boolean
  /** As `--compression` takes it. */
  compression: string
  /** Bytes; 0: no limit. */
  memoryLimit: number
  /** As `--latency` takes it. */
  latency: string
  /** The folder where the drive lives; null: in memory. */
  image: string | null
  /** Path; null: none. */
  tier: string | null
  /** Seconds. */
  tierAfter: number
  /** Bytes a second; 0: no limit. */
  tierBudget: number
  profile: string
}

/** One zone, as people and programs read it. Sectors are 512 bytes, absolute. */
export interface ZoneInfo {
  zone: number
  type: 'conventional' | 'sequential'
  condition: ZoneCondition
  startSector: number
  /** null where a write pointer has no meaning (conventional, full, read-only, offline). */
  writePointerSector: number | null
  capacitySectors: number
  sizeSectors: number
  /** Blocks written since the last reset, as a share of the capacity, 0 to 1. */
  fill: number
  resets: number
  writes: number
  writtenBytes: number
}

export type ZoneCondition =
  | 'conventional'
  | 'empty'
  | 'implicit-open'
  | 'explicit-open'
  | 'closed'
  | 'full'
  | 'read-only'
  | 'offline'

/** The zones of a report and what they add up to. */
export interface ZoneReport {
  device: DeviceInfo
  zones: ZoneInfo[]
  openZones: number
  activeZones: number
}

/** A refused request, as `zslab explain` tells it. */
export interface Refusal {
  sequence: number
  timeMs: number
  queue: number
  op: string
  startSector: number
  sectors: number
  zone: number
  offsetSectors: number
  before: { condition: ZoneCondition; writePointerSectors: number }
  status: number
  statusName: string
  errno: string
  rule: string
  hint: string
  /** The id of the fault that ordered it (`zslab fault list`); null: a rule of the drive refused it. */
  fault: number | null
}

/** What is stored and what it takes: zram's mm_stat (Documentation/admin-guide/blockdev/zram.rst), in bytes and pages. */
export interface StoredStats {
  /** Bytes of all pages that hold data, as the host wrote them. */
  origBytes: number
  /** Bytes of them that are stored: compressed pages as they are, raw ones whole, same-fill ones nothing. */
  comprBytes: number
  /** Bytes of memory that these take, rounded up to what was reserved. */
  memoryBytes: number
  sameFillPages: number
  compressedPages: number
  /** Pages that are stored as they are: zram's huge pages. */
  rawPages: number
  /** zram's bd_stat, of the tier: pages that are there, and pages read and written since the device was made. */
  bdCount: number
  bdReads: number
  bdWrites: number
  /** Bytes of the pages that are there. */
  bdBytes: number
}

export interface MediaStats extends StoredStats {
  pageBytes: number
  /** Of memoryBytes: kept by resets for the next writes. */
  spareBytes: number
  /** 0: no limit. */
  memoryLimitBytes: number
  /** Zones that have a slot of the tier, and how many can; 0 and 0 without a tier. */
  tierSlotsUsed: number
  tierSlots: number
}

export interface ZoneStats extends StoredStats {
  zone: number
  resets: number
  writes: number
  writtenBytes: number
}

/** Totals since the device was made. */
export interface DeviceStats {
  device: DeviceInfo
  counters: {
    reads: number
    readBytes: number
    writes: number
    writeBytes: number
    appends: number
    appendBytes: number
    flushes: number
    discards: number
    zoneCommands: number
    reports: number
    refused: number
    failed: number
    /** Of the failed: writes for whose data there was no memory (ENOSPC). */
    noSpace: number
    turns: number
    requests: number
    /** Failed by order (`zslab fault`). */
    faults: number
  }
  media: MediaStats
  zones: Record<ZoneCondition, number>
  /** Zones that were written or reset, or hold data. */
  perZone: ZoneStats[]
}

/** Neighbouring zones that are alike. `wp` in sectors from the zone's start; absent where it means nothing. */
export interface ZoneRun {
  count: number
  condition: ZoneCondition
  wp?: number
}

/** A recording that has begun: every request from now on is part of it. */
export interface TraceStart {
  device: DeviceInfo
  kernel: string
  startedMs: number
  /** Requests came while it began: `zones` may already have some of them in it. */
  isBusy: boolean
  zones: ZoneRun[]
}

/** What came since the last one. */
export interface TraceBatch {
  /** For each queue: entries as they lie in its ring (trace-ring.ts), in base64. */
  entries: string[]
  /** Every request delivered before this time (µs since the start) is in this batch or in one before; null: all are. */
  completeUs: number | null
  /** Requests that found no room, since the start. */
  lost: number
}

/** The rest of a recording, and the zones at its end. */
export interface TraceEnd extends TraceBatch {
  zones: ZoneRun[]
}

/** What each verb takes and gives. */
export interface Verbs {
  ping: { params: Record<string, never>; result: { pid: number; version: string; devices: number } }
  'device.create': { params: Partial<Record<keyof DeviceOptions, unknown>>; result: DeviceInfo }
  'device.list': { params: Record<string, never>; result: DeviceInfo[] }
  'device.show': { params: { id: number }; result: DeviceInfo }
  'device.delete': {
    params: { id: number; force?: boolean }
    /** `image`: where the drive goes on to be. */
    result: { id: number; deleted: true; image: string | null }
  }
  'device.recover': { params: { id: number }; result: DeviceInfo }
  'device.power-cut': {
    params: { id: number; seed?: number }
    /** `off`: until `user` lets go of it. Of a drive in memory: the seed, and what was lost by it. */
    result: {
      id: number
      state: 'live' | 'off'
      user: string | null
      seed: number | null
      lost: { zones: number; bytes: number } | null
    }
  }
  'zone.report': {
    params: { id: number; first?: number; count?: number; condition?: ZoneCondition }
    result: ZoneReport
  }
  'zone.offline': {
    params: { id: number; first: number; count: number }
    result: { changed: number }
  }
  'zone.read-only': {
    params: { id: number; first: number; count: number }
    result: { changed: number }
  }
  'fault.add': { params: { id: number } & FaultOrder; result: FaultInfo }
  'fault.list': { params: { id: number }; result: FaultInfo[] }
  /** Without `fault`: all of them. */
  'fault.clear': { params: { id: number; fault?: number }; result: { cleared: number[] } }
  explain: { params: { id: number; count?: number }; result: Refusal[] }
  stats: { params: { id: number }; result: DeviceStats }
  /** A recording belongs to the connection that started it, and ends with it. */
  'trace.start': { params: { id: number }; result: TraceStart }
  'trace.read': { params: { id: number }; result: TraceBatch }
  'trace.stop': { params: { id: number }; result: TraceEnd }
  shutdown: { params: Record<string, never>; result: { pid: number } }
}

export type Verb = keyof Verbs

export interface Request {
  id: number
  verb: string
  params: Record<string, unknown>
}

export interface Reply {
  id: number
  result?: unknown
  error?: { code: string; message: string }
}
