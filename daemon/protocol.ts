/**
 * The control protocol: one JSON object a line over a Unix socket, a request and its reply.
 *
 * request  {"id": 1, "verb": "device.show", "params": {"id": 0}}
 * reply    {"id": 1, "result": {...}}  or  {"id": 1, "error": {"code": "DAEMON_ERR_...", "message": "..."}}
 */
import type { DeviceOptions } from './options.js'

/** A device as `device create`, `list` and `show` give it. Sizes in bytes unless the name says otherwise. */
export interface DeviceInfo {
  id: number
  path: string
  pid: number
  /** live: served; orphan: its daemon died and it waits for `recover`; dead: to be deleted. */
  state: 'live' | 'orphan' | 'dead'
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
    turns: number
    requests: number
  }
  media: { rawPages: number; sameFillPages: number; pageBytes: number; memoryBytes: number }
  zones: Record<ZoneCondition, number>
  perZone: { zone: number; resets: number; writes: number; writtenBytes: number }[]
}

/** What each verb takes and gives. */
export interface Verbs {
  ping: { params: Record<string, never>; result: { pid: number; version: string; devices: number } }
  'device.create': { params: Partial<Record<keyof DeviceOptions, unknown>>; result: DeviceInfo }
  'device.list': { params: Record<string, never>; result: DeviceInfo[] }
  'device.show': { params: { id: number }; result: DeviceInfo }
  'device.delete': {
    params: { id: number; force?: boolean }
    result: { id: number; deleted: true }
  }
  'device.recover': { params: { id: number }; result: DeviceInfo }
  'zone.report': {
    params: { id: number; first?: number; count?: number; condition?: ZoneCondition }
    result: ZoneReport
  }
  'zone.offline': {
    params: { id: number; first: number; count: number }
    result: { changed: number }
  }
  explain: { params: { id: number; count?: number }; result: Refusal[] }
  stats: { params: { id: number }; result: DeviceStats }
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
