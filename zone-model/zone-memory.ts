/**
 * A media with one buffer a zone: what is in a zone lies in one piece, and a reset gives the whole piece back.
 *
 * A buffer exists from the first write to the zone's reset. Resets put a few buffers aside for the next zones, with their
 * old bytes in them: `filled` says how far a zone is its own, and what lies past that reads as zeros. All others go back to
 * where they came from (zone-buffers.ts).
 */
import type { Geometry } from './geometry.js'
import type { Media } from './media.js'
import { EINVAL, ENOMEM } from './uapi.js'
import type { ZoneBuffers } from './zone-buffers.js'

/** A zone's bytes, and how many of them this process has ever touched: so much memory they take. */
interface ZoneBuffer {
  readonly bytes: Uint8Array
  touchedBytes: number
}

/** Memory of zones. */
export class ZoneMemory implements Media {
  readonly bytes: number
  readonly #zoneBytes: number
  readonly #buffers: (ZoneBuffer | null)[]
  /** How far each zone's bytes are its own, from its start. */
  readonly #filled: Float64Array
  readonly #spares: ZoneBuffer[] = []

  /** @param spareZones - how many buffers of reset zones are kept for the next ones */
  constructor(
    private readonly geometry: Geometry,
    private readonly spareZones: number,
    private readonly source: ZoneBuffers,
  ) {
    this.bytes = geometry.totalBytes
    this.#zoneBytes = geometry.zoneSizeBytes
    this.#buffers = new Array<ZoneBuffer | null>(geometry.zoneCount).fill(null)
    this.#filled = new Float64Array(geometry.zoneCount)
  }

  /** Memory that zones take, as far as it was ever written. */
  get zonesBytes(): number {
    return this.#buffers.reduce((sum, buffer) => sum + this.#memoryOf(buffer), 0)
  }

  /** Memory of reset zones that is kept for the next ones. */
  get spareBytes(): number {
    return this.#spares.reduce((sum, spare) => sum + this.#memoryOf(spare), 0)
  }

  #memoryOf(buffer: ZoneBuffer | null): number {
    const { pageBytes } = this.source
    return buffer === null ? 0 : Math.ceil(buffer.touchedBytes / pageBytes) * pageBytes
  }

  /** The zone's buffer, from now on at the latest; null when there is no memory. */
  view(zone: number): Uint8Array | null {
    return (this.#buffers[zone] ?? this.#allocate(zone))?.bytes ?? null
  }

  /** Stores all of `source` in one zone: 0, or -ENOMEM. Makes no garbage but for the buffer. */
  store(zone: number, offsetBytes: number, source: Uint8Array): number {
    const buffer = this.#buffers[zone] ?? this.#allocate(zone)
    if (buffer === null) return -ENOMEM
    const filled = this.#filled[zone]!
    const end = offsetBytes + source.length
    // What was never touched is zeros already.
    const stale = Math.min(offsetBytes, buffer.touchedBytes)
    if (stale > filled) buffer.bytes.fill(0, filled, stale)
    buffer.bytes.set(source, offsetBytes)
    if (end > filled) this.#filled[zone] = end
    if (end > buffer.touchedBytes) buffer.touchedBytes = end
    return 0
  }

  read(offsetBytes: number, target: Uint8Array): number {
    if (this.#isOutside(offsetBytes, target.length)) return -EINVAL
    this.#eachZone(offsetBytes, target.length, (zone, from, length, done) => {
      const own = Math.max(0, Math.min(length, this.#filled[zone]! - from))
      const buffer = this.#buffers[zone]
      if (own > 0) target.set(buffer!.bytes.subarray(from, from + own), done)
      target.fill(0, done + own, done + length)
      return 0
    })
    return target.length
  }

  write(offsetBytes: number, source: Uint8Array): number {
    if (this.#isOutside(offsetBytes, source.length)) return -EINVAL
    const result = this.#eachZone(offsetBytes, source.length, (zone, from, length, done) =>
      this.store(zone, from, source.subarray(done, done + length)),
    )
    return result < 0 ? result : source.length
  }

  discard(offsetBytes: number, lengthBytes: number): number {
    if (this.#isOutside(offsetBytes, lengthBytes)) return -EINVAL
    return this.#eachZone(offsetBytes, lengthBytes, (zone, from, length) => {
      const filled = this.#filled[zone]!
      if (from + length >= filled) this.#filled[zone] = Math.min(from, filled)
      else this.#buffers[zone]!.bytes.fill(0, from, from + length)
      return 0
    })
  }

  /** Only whole zones give their buffers back. */
  recycle(offsetBytes: number, lengthBytes: number): number {
    if (this.#isOutside(offsetBytes, lengthBytes)) return -EINVAL
    return this.#eachZone(offsetBytes, lengthBytes, (zone, from, length) => {
      if (length < this.#zoneBytes) return this.discard(zone * this.#zoneBytes + from, length)
      this.#release(zone)
      return 0
    })
  }

  flush(): number {
    return 0
  }

  close(): void {
    for (const [zone, buffer] of this.#buffers.entries()) {
      if (buffer !== null) this.source.give(buffer.bytes)
      this.#buffers[zone] = null
    }
    this.#filled.fill(0)
    for (const spare of this.#spares.splice(0)) this.source.give(spare.bytes)
  }

  /** Conventional zones, which no reset empties, take no spares: they are written out of order. */
  #allocate(zone: number): ZoneBuffer | null {
    const isConventional = zone < this.geometry.conventionalCount
    let buffer = isConventional ? null : (this.#spares.pop() ?? null)
    if (buffer === null) {
      try {
        const length = isConventional ? this.#zoneBytes : this.geometry.zoneCapacityBytes
        buffer = { bytes: this.source.take(length), touchedBytes: 0 }
      } catch {
        return null
      }
    }
    this.#buffers[zone] = buffer
    return buffer
  }

  #release(zone: number): void {
    const buffer = this.#buffers[zone] ?? null
    this.#buffers[zone] = null
    this.#filled[zone] = 0
    if (buffer === null) return
    if (this.#spares.length < this.spareZones) this.#spares.push(buffer)
    else this.source.give(buffer.bytes)
  }

  #isOutside(offsetBytes: number, lengthBytes: number): boolean {
    return offsetBytes < 0 || lengthBytes < 0 || offsetBytes + lengthBytes > this.bytes
  }

  /** Cuts an extent at the borders of zones. Stops at the first part that fails, with its -errno. */
  #eachZone(
    offsetBytes: number,
    lengthBytes: number,
    part: (zone: number, from: number, length: number, done: number) => number,
  ): number {
    for (let done = 0; done < lengthBytes; ) {
      const zone = Math.floor((offsetBytes + done) / this.#zoneBytes)
      const from = (offsetBytes + done) % this.#zoneBytes
      const length = Math.min(this.#zoneBytes - from, lengthBytes - done)
      const result = part(zone, from, length, done)
      if (result < 0) return result
      done += length
    }
    return 0
  }
}
