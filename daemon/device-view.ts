/**
 * A device as people and programs see it: what `show`, `zone report`, `stats` and `explain` answer.
 *
 * Read from shared memory while the workers write it: each value is whole, a set of values may be one request apart.
 */
import {
  errnoName,
  errnoOfStatus,
  explainStatus,
  type Geometry,
  opName,
  reportZones,
  unpackZoneWord,
  type ZoneReportEntry,
} from '../zone-model/index.js'
import { sumCounters } from './counters.js'
import type { Device } from './device.js'
import type {
  DeviceInfo,
  DeviceStats,
  Refusal,
  ZoneCondition,
  ZoneInfo,
  ZoneReport,
} from './protocol.js'
import type { DeviceRecord } from './state-directory.js'

const PAGE_BYTES = 4096

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
    profile: record.options.profile,
  }
}

function zoneInfo(entry: ZoneReportEntry): ZoneInfo {
  const written = entry.wpSectors
  return {
    zone: entry.zone,
    type: entry.type,
    condition: entry.condition,
    startSector: entry.startSector,
    writePointerSector: written === null ? null : entry.startSector + written,
    capacitySectors: entry.capacitySectors,
    sizeSectors: entry.sizeSectors,
    fill: written === null ? (entry.condition === 'full' ? 1 : 0) : written / entry.capacitySectors,
    resets: entry.resets,
    writes: entry.writes,
    writtenBytes: entry.writtenSectors * 512,
  }
}

const OPEN: readonly ZoneCondition[] = ['implicit-open', 'explicit-open']

/** `zone report`. */
export function zoneReport(
  device: Device,
  range: { first?: number; count?: number; condition?: ZoneCondition },
): ZoneReport {
  const all = reportZones(device.state.table, {})
  const first = range.first ?? 0
  const end = range.count === undefined ? all.length : first + range.count
  const zones = all
    .slice(first, end)
    .filter(zone => range.condition === undefined || zone.condition === range.condition)
    .map(zoneInfo)
  const openZones = all.filter(zone => OPEN.includes(zone.condition)).length
  const closedZones = all.filter(zone => zone.condition === 'closed').length
  return {
    device: deviceInfo(device.record, device.geometry, 'live'),
    zones,
    openZones,
    activeZones: openZones + closedZones,
  }
}

/** `stats`. */
export function deviceStats(device: Device): DeviceStats {
  const queues = Array.from({ length: device.record.queueCount }, (_, q) =>
    device.state.counters(q),
  )
  const media = device.media.stats()
  const zones = {} as Record<ZoneCondition, number>
  const perZone: DeviceStats['perZone'] = []
  for (const zone of reportZones(device.state.table, {})) {
    zones[zone.condition] = (zones[zone.condition] ?? 0) + 1
    if (zone.writes === 0 && zone.resets === 0) continue
    const writtenBytes = zone.writtenSectors * 512
    perZone.push({ zone: zone.zone, resets: zone.resets, writes: zone.writes, writtenBytes })
  }
  return {
    device: deviceInfo(device.record, device.geometry, 'live'),
    counters: sumCounters(queues),
    media: {
      rawPages: media.rawPages,
      sameFillPages: media.fillPages,
      pageBytes: PAGE_BYTES,
      memoryBytes: media.memoryBytes,
    },
    zones,
    perZone,
  }
}

/** `explain`: the newest refusals of all queues, oldest first. */
export function refusals(device: Device, count: number): Refusal[] {
  const { geometry, state } = device
  const found: Refusal[] = []
  for (let queue = 0; queue < device.record.queueCount; queue++) {
    for (const record of state.refusals(queue).last(count)) {
      const told = explainStatus(record.status)
      const before = unpackZoneWord(record.wordBefore)
      found.push({
        sequence: record.sequence,
        timeMs: record.timeMs,
        queue,
        op: opName(record.op),
        startSector: record.startSector,
        sectors: record.sectors,
        zone: record.zone,
        offsetSectors: record.startSector % geometry.zoneSizeSectors,
        before: { condition: before.condition, writePointerSectors: before.wpSectors },
        status: record.status,
        statusName: told.name,
        errno: errnoName(errnoOfStatus(record.status)),
        rule: told.rule,
        hint: told.hint,
      })
    }
  }
  return found.sort((a, b) => a.timeMs - b.timeMs || a.sequence - b.sequence).slice(-count)
}
