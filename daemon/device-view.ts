/**
 * A device as people and programs see it: what `show`, `zone report`, `stats` and `explain` answer.
 *
 * Read from shared memory while the workers write it: each value is whole, a set of values may be one request apart.
 */
import { PAGE_BYTES, type PageStats } from '../ublk-native/index.js'
import {
  conditionName,
  conditionOf,
  errnoName,
  errnoOfStatus,
  explainStatus,
  type Geometry,
  reportZones,
  UBLK_IO_OP_DISCARD,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_WRITE_ZEROES,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_CLOSE,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_OPEN,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
  wpOf,
  type ZoneDescriptor,
  type ZoneTable,
} from '../zone-model/index.js'
import { sumCounters } from './counters.js'
import type { Device } from './device.js'
import type {
  DeviceInfo,
  DeviceStats,
  Refusal,
  StoredStats,
  ZoneCondition,
  ZoneInfo,
  ZoneReport,
} from './protocol.js'
import type { RefusalRecord } from './refusals.js'
import type { DeviceRecord } from './state-directory.js'

/** The model's names, but for the zones that have no write pointer: those are conventional. */
function conditionText(condition: string): ZoneCondition {
  return condition === 'not-wp' ? 'conventional' : (condition as ZoneCondition)
}

const OP_NAMES: Readonly<Record<number, string>> = {
  [UBLK_IO_OP_READ]: 'read',
  [UBLK_IO_OP_WRITE]: 'write',
  [UBLK_IO_OP_DISCARD]: 'discard',
  [UBLK_IO_OP_WRITE_ZEROES]: 'write zeroes',
  [UBLK_IO_OP_ZONE_OPEN]: 'zone open',
  [UBLK_IO_OP_ZONE_CLOSE]: 'zone close',
  [UBLK_IO_OP_ZONE_FINISH]: 'zone finish',
  [UBLK_IO_OP_ZONE_APPEND]: 'zone append',
  [UBLK_IO_OP_ZONE_RESET_ALL]: 'zone reset all',
  [UBLK_IO_OP_ZONE_RESET]: 'zone reset',
}

/** `device list` and `show`. */
export function deviceInfo(
  record: DeviceRecord,
  geometry: Geometry,
  state: DeviceInfo['state'],
): DeviceInfo {
  return {
    id: record.id,
    path: `/dev/ublkb${record.id}`,
    pid: record.pid,
    state,
    zones: geometry.zoneCount,
    conventional: geometry.conventionalCount,
    zoneSize: geometry.zoneSizeSectors * 512,
    zoneCapacity: geometry.zoneCapacitySectors * 512,
    bytes: geometry.totalBytes,
    blockSize: geometry.blockSizeBytes,
    maxOpen: geometry.maxOpen,
    maxActive: geometry.maxActive,
    maxAppend: geometry.maxAppendSectors * 512,
    queues: record.queueCount,
    depth: record.depth,
    recovery: record.options.recovery,
    sameFill: record.options.sameFill,
    compression: record.options.compression ?? 'none',
    memoryLimit: record.options.memoryLimit ?? 0,
    latency: record.options.latency ?? 'none',
    image: record.options.image ?? null,
    tier: record.options.tier ?? null,
    tierAfter: record.options.tierAfter ?? 0,
    tierBudget: record.options.tierBudget ?? 0,
    profile: record.options.profile,
  }
}

/** A device whose record makes no sense: nothing is known of it but its number, and that it can be deleted. */
export function unreadableDeviceInfo(record: DeviceRecord): DeviceInfo {
  return {
    id: record.id,
    path: `/dev/ublkb${record.id}`,
    pid: 0,
    state: 'dead',
    zones: 0,
    conventional: 0,
    zoneSize: 0,
    zoneCapacity: 0,
    bytes: 0,
    blockSize: 0,
    maxOpen: 0,
    maxActive: 0,
    maxAppend: 0,
    queues: 0,
    depth: 0,
    recovery: false,
    sameFill: false,
    compression: '',
    memoryLimit: 0,
    latency: '',
    image: null,
    tier: null,
    tierAfter: 0,
    tierBudget: 0,
    profile: '',
  }
}

/** Conditions in which the write pointer means something. */
const WRITABLE: readonly ZoneCondition[] = ['empty', 'implicit-open', 'explicit-open', 'closed']

function zoneInfo(table: ZoneTable, zone: ZoneDescriptor): ZoneInfo {
  const { resets, writes, writtenSectors } = table.statistics(zone.zone)
  const condition = conditionText(zone.condition)
  const isWritable = WRITABLE.includes(condition)
  const written = zone.wpSector - zone.startSector
  return {
    zone: zone.zone,
    type: zone.type,
    condition,
    startSector: zone.startSector,
    writePointerSector: isWritable ? zone.wpSector : null,
    capacitySectors: zone.capacitySectors,
    sizeSectors: zone.lengthSectors,
    fill: isWritable ? written / zone.capacitySectors : condition === 'full' ? 1 : 0,
    resets,
    writes,
    writtenBytes: writtenSectors * 512,
  }
}

const OPEN: readonly ZoneCondition[] = ['implicit-open', 'explicit-open']

/** `zone report`. */
export function zoneReport(
  device: Device,
  range: { first?: number; count?: number; condition?: ZoneCondition },
): ZoneReport {
  const { table } = device.state
  const all = reportZones(table).map(zone => zoneInfo(table, zone))
  // As the zone model's own report: the count is of zones that match.
  const zones = all
    .slice(range.first ?? 0)
    .filter(zone => range.condition === undefined || zone.condition === range.condition)
    .slice(0, range.count)
  const openZones = all.filter(zone => OPEN.includes(zone.condition)).length
  const closedZones = all.filter(zone => zone.condition === 'closed').length
  return {
    device: deviceInfo(device.record, device.geometry, 'live'),
    zones,
    openZones,
    activeZones: openZones + closedZones,
  }
}

/** A zero for each condition: programs find every key. */
function noZones(): Record<ZoneCondition, number> {
  return {
    conventional: 0,
    empty: 0,
    'implicit-open': 0,
    'explicit-open': 0,
    closed: 0,
    full: 0,
    'read-only': 0,
    offline: 0,
  }
}

function storedStats(pages: PageStats): StoredStats {
  const { rawPages, fillPages, compressedPages, compressedBytes, memoryBytes, tier } = pages
  return {
    origBytes: (rawPages + fillPages + compressedPages + tier.pages) * PAGE_BYTES,
    comprBytes: compressedBytes + rawPages * PAGE_BYTES,
    memoryBytes,
    sameFillPages: fillPages,
    compressedPages,
    rawPages,
    bdCount: tier.pages,
    bdReads: tier.readPages,
    bdWrites: tier.writtenPages,
    bdBytes: tier.bytes,
  }
}

/** `stats`. */
export function deviceStats(device: Device): DeviceStats {
  const queues = Array.from({ length: device.record.queueCount }, (_, q) =>
    device.state.counters(q),
  )
  const media = device.media.stats()
  const zones = noZones()
  const perZone: DeviceStats['perZone'] = []
  const { table } = device.state
  for (const { zone, condition } of reportZones(table)) {
    const name = conditionText(condition)
    zones[name]++
    const { resets, writes, writtenSectors } = table.statistics(zone)
    const stored = storedStats(media.regions[zone]!)
    if (writes > 0 || resets > 0 || stored.origBytes > 0)
      perZone.push({ zone, resets, writes, writtenBytes: writtenSectors * 512, ...stored })
  }
  return {
    device: deviceInfo(device.record, device.geometry, 'live'),
    counters: sumCounters(queues),
    media: {
      ...storedStats(media),
      pageBytes: PAGE_BYTES,
      spareBytes: media.spareBytes,
      memoryLimitBytes: device.record.options.memoryLimit ?? 0,
      tierSlotsUsed: media.regions.filter(({ slot }) => slot !== 0).length,
      tierSlots: device.tierSlots,
    },
    zones,
    perZone,
  }
}

/** What failed by order, in the words of explainStatus(). */
function explainFault({ fault }: RefusalRecord): { name: string; rule: string; hint: string } {
  return {
    name: 'Injected Fault',
    rule: `Fault ${fault} ordered it: no rule of the drive was broken.`,
    hint: `\`zslab fault list\` shows it if it is still there; \`zslab fault clear\` ends it.`,
  }
}

/** `explain`: the newest refusals of all queues, oldest first. */
export function refusals(device: Device, count: number): Refusal[] {
  const { geometry, state } = device
  const found: Refusal[] = []
  for (let queue = 0; queue < device.record.queueCount; queue++) {
    for (const record of state.refusals(queue).last(count)) {
      const told = record.fault === 0 ? explainStatus(record.status) : explainFault(record)
      const word = record.wordBefore
      found.push({
        sequence: record.sequence,
        timeMs: record.timeMs,
        queue,
        op: OP_NAMES[record.op] ?? `operation ${record.op}`,
        startSector: record.startSector,
        sectors: record.sectors,
        zone: record.zone,
        offsetSectors: record.startSector % geometry.zoneSizeSectors,
        before: {
          condition: conditionText(conditionName(conditionOf(word))),
          writePointerSectors: wpOf(word),
        },
        status: record.fault === 0 ? record.status : 0,
        statusName: told.name,
        errno: errnoName(record.fault === 0 ? errnoOfStatus(record.status) : record.status),
        rule: told.rule,
        hint: told.hint,
        fault: record.fault === 0 ? null : record.fault,
      })
    }
  }
  return found.sort((a, b) => a.timeMs - b.timeMs || a.sequence - b.sequence).slice(-count)
}
