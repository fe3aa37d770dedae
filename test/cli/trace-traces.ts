/**
 * Traces for tests: random requests that were given to an emulated drive, with its results, as the recorder would write them.
 */
import type { TraceRequest } from '../../cli/trace-file.js'
import type { ZoneRun } from '../../daemon/client.js'
import { zoneRuns } from '../../daemon/client.js'
import type { GeometryOptions } from '../../zone-model/index.js'
import { EmulatedDisk } from '../fakes/emulated-disk.js'
import type { Prng } from '../fakes/prng.js'

const SECTOR_BYTES = 512
/** Requests of a trace that overlap in time: none, or as they come. */
export interface TraceShape {
  geometry: GeometryOptions
  requests: number
  ops: readonly string[]
  overlap: boolean
}

export interface MadeTrace {
  device: EmulatedDisk['layout']
  zones: ZoneRun[]
  requests: TraceRequest[]
  end: ZoneRun[]
}

function head(made: MadeTrace): object[] {
  const { device, zones } = made
  return [
    { zslabTrace: 1, device, kernel: '6.12.0', started: '2024-01-02T03:04:05.678Z' },
    { zones },
  ]
}

/** The lines of its file. */
export function linesOf(made: MadeTrace, lost = 0): string[] {
  const end = { end: { requests: made.requests.length, lost, seconds: 1.5 }, zones: made.end }
  return [...head(made), ...made.requests, end].map(line => JSON.stringify(line))
}

/** A plausible request: mostly at the write pointer, sometimes not; extents of whole blocks. */
async function plausible(prng: Prng, disk: EmulatedDisk, op: string) {
  const { layout } = disk
  const zoneSectors = layout.zoneSize / SECTOR_BYTES
  const block = layout.blockSize / SECTOR_BYTES
  const first = op === 'append' ? layout.conventional : 0
  const zone = first + prng.below(layout.zones - first)
  const { wp } = (await disk.report())[zone]!
  const sectors = block * (1 + prng.below(4))
  const spot = block * prng.below(zoneSectors / block)
  const offset = op === 'read' || wp === null || prng.chance(0.05) ? spot : wp
  const fits = Math.min(sectors, zoneSectors - Math.min(offset, zoneSectors - block))
  return { zone, sector: zone * zoneSectors + Math.min(offset, zoneSectors - fits), sectors: fits }
}

async function one(prng: Prng, disk: EmulatedDisk, op: string): Promise<TraceRequest> {
  const { layout, drive } = disk
  const size = layout.zoneSize / SECTOR_BYTES
  const { zone, sector, sectors } = await plausible(prng, disk, op)
  const base = { t: 0, queue: prng.below(3), op, latencyUs: 1 }
  const submit = (as: string, at: number, count: number) =>
    disk.submit(
      { op: as, sector: at, sectors: count, isFua: false },
      new Uint8Array(count * SECTOR_BYTES),
    )
  if (op === 'flush') return { ...base, result: await submit(op, 0, 0) }
  if (op === 'reset-all') {
    await drive.resetAll()
    return { ...base, result: 0 }
  }
  if (op === 'append') {
    const at = await drive
      .append(zone, new Uint8Array(sectors * SECTOR_BYTES))
      .catch((error: { errno: number }) => -error.errno)
    const place = at < 0 ? { result: at } : { result: sectors * SECTOR_BYTES, lba: at }
    return { ...base, zone, sector: zone * size, sectors, ...place }
  }
  if (op === 'read' || op === 'write') {
    const result = await submit(op, sector, sectors)
    const fua = op === 'write' && prng.chance(0.2) ? { flags: 'fua' as const } : {}
    return { ...base, zone, sector, sectors, ...fua, result }
  }
  const zones = op === 'report' ? { zones: 4 } : {}
  return { ...base, zone, ...zones, result: await submit(op, zone * size, size) }
}

/** A trace of random requests. */
export async function makeTrace(prng: Prng, shape: TraceShape): Promise<MadeTrace> {
  const disk = new EmulatedDisk(shape.geometry)
  const zones = zoneRuns(await disk.report())
  const requests: TraceRequest[] = []
  let t = 0
  for (let i = 0; i < shape.requests; i++) {
    const request = await one(prng, disk, prng.pick(shape.ops))
    request.t = t
    request.latencyUs = shape.overlap ? prng.below(40) : prng.below(5)
    t += shape.overlap ? prng.below(10) : 5 + prng.below(5)
    requests.push(request)
  }
  return { device: disk.layout, zones, requests, end: zoneRuns(await disk.report()) }
}
