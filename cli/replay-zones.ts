/**
 * What a replay knows of the zones that it writes: where they are written next, and what is in their blocks.
 *
 * A block is known when the replay wrote it (payload, zeros); all others are not checked: what a drive reads there is its own
 * affair. A byte a block, only for zones that were written.
 */
import type { DiskLayout, ZoneState } from '../daemon/client.js'
import { fillPayload } from './replay-payload.js'

const SECTOR_BYTES = 512
const UNKNOWN = 0
const PAYLOAD = 1
const ZEROS = 2

/** Where zone and offset of a sector are, and how long. */
interface Extent {
  zone: number
  offset: number
  sectors: number
}

export class ReplayZones {
  readonly #zoneSectors: number
  readonly #capacitySectors: number
  readonly #blockSectors: number
  readonly #conventional: number
  readonly #seed: number
  readonly #wp: number[]
  readonly #blocks = new Map<number, Uint8Array>()
  readonly #expected: Uint8Array

  constructor(layout: DiskLayout, zones: readonly ZoneState[], seed: number) {
    this.#zoneSectors = layout.zoneSize / SECTOR_BYTES
    this.#capacitySectors = layout.zoneCapacity / SECTOR_BYTES
    this.#blockSectors = layout.blockSize / SECTOR_BYTES
    this.#conventional = layout.conventional
    this.#seed = seed
    this.#wp = zones.map(({ wp }) => wp ?? this.#zoneSectors)
    this.#expected = new Uint8Array(layout.blockSize)
  }

  /**
   * Where an append to the zone of this sector would go; absolute. Where it has no room a write there is refused as the append
   * is, and never reaches into the next zone.
   */
  appendSector(sector: number, sectors: number): number {
    const { zone } = this.#extent(sector, sectors)
    const offset = Math.min(this.#wp[zone] ?? 0, this.#zoneSectors - sectors)
    return zone * this.#zoneSectors + offset
  }

  /** Whether a write there may open or fill its zone: it changes what the limits count. */
  isTurningPoint(sector: number, sectors: number): boolean {
    const { zone, offset } = this.#extent(sector, sectors)
    if (zone < this.#conventional) return false
    return this.#wp[zone] === 0 || offset + sectors >= this.#capacitySectors
  }

  /** `op` was done there, or has failed in a way that leaves open what is there now. */
  note(op: string, sector: number, sectors: number, result: number): void {
    const { zone, offset } = this.#extent(sector, sectors)
    if (op === 'write' || op === 'write-zeroes') {
      const isWrite = op === 'write'
      const done = result < 0 ? 0 : isWrite ? Math.floor(result / SECTOR_BYTES) : sectors
      this.#mark(sector, done, isWrite ? PAYLOAD : ZEROS)
      this.#mark(sector + done, sectors - done, UNKNOWN)
      if (done > 0 && zone >= this.#conventional)
        this.#wp[zone] = Math.max(this.#wp[zone] ?? 0, offset + done)
    } else if (op === 'discard') this.#mark(sector, sectors, UNKNOWN)
    else if (result < 0) return
    else if (op === 'finish') this.#wp[zone] = this.#zoneSectors
    else if (op === 'reset')
      for (let at = zone; at < zone + sectors / this.#zoneSectors; at++) this.#reset(at)
  }

  /** Whether what was read is what must be there. */
  isRight(sector: number, bytes: Uint8Array): boolean {
    const blockBytes = this.#expected.length
    for (let at = 0; at + blockBytes <= bytes.length; at += blockBytes) {
      const here = sector + at / SECTOR_BYTES
      const kind = this.#kind(here)
      if (kind === UNKNOWN) continue
      if (kind === PAYLOAD) fillPayload(this.#expected, this.#seed, here)
      else this.#expected.fill(0)
      if (Buffer.compare(this.#expected, bytes.subarray(at, at + blockBytes)) !== 0) return false
    }
    return true
  }

  #extent(sector: number, sectors: number): Extent {
    const zone = Math.floor(sector / this.#zoneSectors)
    return { zone, offset: sector - zone * this.#zoneSectors, sectors }
  }

  #reset(zone: number): void {
    if (zone < this.#conventional) return
    this.#wp[zone] = 0
    this.#blocks.delete(zone)
  }

  #kind(sector: number): number {
    const { zone, offset } = this.#extent(sector, 1)
    return this.#blocks.get(zone)?.[Math.floor(offset / this.#blockSectors)] ?? UNKNOWN
  }

  /** Write-zeroes and discards may reach over into the next zones. */
  #mark(sector: number, sectors: number, kind: number): void {
    for (let at = sector; at < sector + sectors; at += this.#blockSectors) {
      const { zone, offset } = this.#extent(at, 1)
      let blocks = this.#blocks.get(zone)
      if (blocks === undefined) {
        if (kind === UNKNOWN) continue
        blocks = new Uint8Array(this.#zoneSectors / this.#blockSectors)
        this.#blocks.set(zone, blocks)
      }
      blocks[Math.floor(offset / this.#blockSectors)] = kind
    }
  }
}
