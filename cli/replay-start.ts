/**
 * Before a replay: is this the same kind of device, and does it stand where the trace begins?
 *
 * What differs is refused by name, so that a comparison compares something; `--force` goes on in spite of it.
 */
import type { DiskLayout, ZonedDisk, ZoneState } from '../daemon/client.js'
import { fillPayload } from './replay-payload.js'
import { compareZones, formatZoneState } from './trace-compare.js'
import { TraceError, type TraceHeader } from './trace-file.js'

const SECTOR_BYTES = 512
const CHUNK_BYTES = 1024 * 1024

/** Key → what people call it. */
const LAYOUT: Readonly<Record<keyof DiskLayout, string>> = {
  zones: 'zones',
  conventional: 'conventional zones',
  zoneSize: 'zone size in bytes',
  zoneCapacity: 'zone capacity in bytes',
  blockSize: 'block size in bytes',
  maxOpen: 'limit of open zones',
  maxActive: 'limit of active zones',
}

/** Throws TraceError that names everything that differs. */
export function checkLayout(device: TraceHeader['device'], disk: ZonedDisk): void {
  const differing = (Object.keys(LAYOUT) as (keyof DiskLayout)[])
    .filter(key => device[key] !== disk.layout[key])
    .map(key => `${LAYOUT[key]} ${disk.layout[key]} instead of ${device[key]}`)
  if (differing.length === 0) return
  const list = differing.join(', ')
  throw new TraceError(`${disk.path} is not like the device of the trace: ${list}; or use --force`)
}

/** Throws TraceError that names the first zone that is not as the trace begins. */
export function checkZones(zones: readonly ZoneState[], found: readonly ZoneState[]): void {
  const differing = compareZones(zones, found)
  const first = differing[0]
  if (first === undefined) return
  const others = differing.length > 1 ? ` (and ${differing.length - 1} more)` : ''
  const is = formatZoneState(first.replayed)
  const should = formatZoneState(first.recorded)
  throw new TraceError(
    `zone ${first.zone}${others} is ${is}, and was ${should} when the trace began: --reset makes it so, and destroys what is there; or use --force`,
  )
}

async function must(
  disk: ZonedDisk,
  op: string,
  sector: number,
  sectors: number,
  bytes?: Uint8Array,
) {
  const result = await disk.submit({ op, sector, sectors, isFua: false }, bytes ?? null)
  if (result >= 0) return
  const where = `${op} of ${sectors} sectors at ${sector}`
  throw new TraceError(
    `${disk.path} cannot be brought to where the trace begins: ${where}: errno ${-result}`,
  )
}

/** Write a zone up to its write pointer. */
async function fill(disk: ZonedDisk, zone: number, wp: number, seed: number): Promise<void> {
  const start = (zone * disk.layout.zoneSize) / SECTOR_BYTES
  const memory = disk.memory(CHUNK_BYTES)
  const most = CHUNK_BYTES / SECTOR_BYTES
  for (let at = 0; at < wp; at += most) {
    const sectors = Math.min(most, wp - at)
    const bytes = memory.subarray(0, sectors * SECTOR_BYTES)
    fillPayload(bytes, seed, start + at)
    await must(disk, 'write', start + at, sectors, bytes)
  }
}

/** Zones in an order that never has more of them open than the device of the trace had. */
const ORDER: readonly ZoneState['condition'][] = [
  'full',
  'closed',
  'explicit-open',
  'implicit-open',
]

/**
 * Reset all zones, and bring each to where the trace begins; `onWritten` is told of what was written. A full zone is finished
 * without having been written: what was in it is not known.
 */
export async function bringToStart(
  disk: ZonedDisk,
  zones: readonly ZoneState[],
  seed: number,
  onWritten: (sector: number, sectors: number) => void,
): Promise<void> {
  const { layout } = disk
  const zoneSectors = layout.zoneSize / SECTOR_BYTES
  const sequential = layout.zones - layout.conventional
  await must(disk, 'reset', layout.conventional * zoneSectors, sequential * zoneSectors)
  for (const wanted of ORDER) {
    for (const [zone, { condition, wp }] of zones.entries()) {
      if (condition !== wanted || zone >= layout.zones) continue
      const start = zone * zoneSectors
      if (wp !== null && wp > 0) {
        await fill(disk, zone, wp, seed)
        onWritten(start, wp)
      }
      if (condition === 'full') await must(disk, 'finish', start, zoneSectors)
      if (condition === 'explicit-open' || wp === 0) await must(disk, 'open', start, zoneSectors)
      if (condition === 'closed') await must(disk, 'close', start, zoneSectors)
    }
  }
}
