/**
 * Values as a daemon gives them, for the tests of what the command line makes of them.
 */
import type {
  DeviceInfo,
  DeviceStats,
  FaultInfo,
  Refusal,
  ZoneCondition,
  ZoneInfo,
  ZoneReport,
} from '../../daemon/client.js'

const MIB = 1024 * 1024
const ZONE_SECTORS = 8192

export const device: DeviceInfo = {
  id: 0,
  path: '/dev/ublkb0',
  pid: 4242,
  state: 'live',
  zones: 8,
  conventional: 1,
  zoneSize: 4 * MIB,
  zoneCapacity: 3 * MIB,
  bytes: 32 * MIB,
  blockSize: 4096,
  maxOpen: 3,
  maxActive: 0,
  maxAppend: MIB,
  queues: 1,
  depth: 128,
  recovery: true,
  sameFill: true,
  compression: 'lz4',
  memoryLimit: 1024 * 1024,
  latency: 'none',
  image: null,
  tier: '/var/tmp/tier',
  tierAfter: 30,
  tierBudget: 64 * MIB,
  profile: 'default',
}

const CONDITIONS: readonly (readonly [ZoneCondition, number])[] = [
  ['conventional', 0],
  ['empty', 0],
  ['implicit-open', 8],
  ['explicit-open', 3072],
  ['closed', 6136],
  ['full', 6144],
  ['read-only', 0],
  ['offline', 0],
]

function zoneInfo(zone: number, condition: ZoneCondition, offsetSectors: number): ZoneInfo {
  const hasPointer = ['empty', 'implicit-open', 'explicit-open', 'closed'].includes(condition)
  return {
    zone,
    type: condition === 'conventional' ? 'conventional' : 'sequential',
    condition,
    startSector: zone * ZONE_SECTORS,
    writePointerSector: hasPointer ? zone * ZONE_SECTORS + offsetSectors : null,
    capacitySectors: condition === 'conventional' ? ZONE_SECTORS : 6144,
    sizeSectors: ZONE_SECTORS,
    fill: offsetSectors / 6144,
    resets: zone === 5 ? 2 : 0,
    writes: 0,
    writtenBytes: 0,
  }
}

/** One zone of each condition. */
export const report: ZoneReport = {
  device,
  zones: CONDITIONS.map(([condition, offset], zone) => zoneInfo(zone, condition, offset)),
  openZones: 2,
  activeZones: 3,
}

/** A report whose zones have the given conditions. */
export function reportOf(conditions: readonly ZoneCondition[]): ZoneReport {
  const zones = conditions.map((condition, zone) => zoneInfo(zone, condition, 0))
  return { ...report, device: { ...device, zones: zones.length, conventional: 0 }, zones }
}

export const refusal: Refusal = {
  sequence: 12,
  timeMs: Date.UTC(2024, 0, 2, 3, 4, 5, 678),
  queue: 0,
  op: 'write',
  startSector: 16400,
  sectors: 8,
  zone: 2,
  offsetSectors: 16,
  before: { condition: 'implicit-open', writePointerSectors: 8 },
  status: 0x1bc,
  statusName: 'Zone Invalid Write',
  errno: 'EIO',
  rule: 'a write to a sequential zone begins at its write pointer',
  hint: 'write at offset 8, or reset the zone',
  fault: null,
}

export const fault: FaultInfo = {
  id: 3,
  op: 'write',
  zones: { first: 2, last: 5 },
  nth: 4,
  probability: null,
  count: 2,
  errno: 'ENOSPC',
  delayMs: 20,
  torn: true,
  seed: 99,
  matched: 9,
  applied: 2,
  spent: true,
}

const NO_ZONES: Record<ZoneCondition, number> = {
  conventional: 0,
  empty: 0,
  'implicit-open': 0,
  'explicit-open': 0,
  closed: 0,
  full: 0,
  'read-only': 0,
  offline: 0,
}

/** Three raw pages, three that were compressed to a KiB, and two in the tier. */
const STORED = {
  origBytes: 8 * 4096,
  comprBytes: 15 * 1024,
  memoryBytes: 16 * 1024,
  sameFillPages: 0,
  compressedPages: 3,
  rawPages: 3,
  bdCount: 2,
  bdReads: 5,
  bdWrites: 4,
  bdBytes: 5 * 1024,
}
const NOTHING = {
  origBytes: 0,
  comprBytes: 0,
  memoryBytes: 0,
  sameFillPages: 0,
  compressedPages: 0,
  rawPages: 0,
  bdCount: 0,
  bdReads: 0,
  bdWrites: 0,
  bdBytes: 0,
}

/** Counters of a device that wrote `writes` times 4 KiB. */
export function statsOf(writes: number): DeviceStats {
  return {
    device,
    counters: {
      reads: 2,
      readBytes: 8192,
      writes,
      writeBytes: writes * 4096,
      appends: 0,
      appendBytes: 0,
      flushes: 1,
      discards: 0,
      zoneCommands: 3,
      reports: 4,
      refused: 1,
      failed: 0,
      noSpace: 0,
      turns: 1000,
      requests: 2500,
      faults: 0,
    },
    media: {
      ...STORED,
      sameFillPages: 1024,
      origBytes: 1032 * 4096,
      pageBytes: 4096,
      spareBytes: 0,
      memoryLimitBytes: 1024 * 1024,
      tierSlotsUsed: 1,
      tierSlots: 7,
    },
    zones: { ...NO_ZONES, conventional: 1, empty: 6, full: 1 },
    perZone: [
      { zone: 1, resets: 0, writes: 0, writtenBytes: 0, ...NOTHING },
      { zone: 2, resets: 3, writes, writtenBytes: writes * 4096, ...STORED },
    ],
  }
}
