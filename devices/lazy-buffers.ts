/**
 * Memory for the zones of a drive from a few mappings, which take pages as they are written and give them back exactly: no
 * garbage collection has to do with it, and no allocator keeps any of it.
 */
import { giveBack, mapLazy } from '../ublk-native/index.js'
import type { Geometry, ZoneBuffers } from '../zone-model/index.js'

const PAGE_BYTES = 4096
const HUGE_PAGE_BYTES = 2 * 1024 * 1024
/** A mapping; Node makes no ArrayBuffer of 4 GiB of foreign memory. */
const ARENA_BYTES = 1024 * 1024 * 1024

export class LazyBuffers implements ZoneBuffers {
  /** The largest zone that it has memory for. */
  static readonly ZONE_BYTES_MAX = ARENA_BYTES
  readonly pageBytes: number
  readonly #strideBytes: number
  readonly #perArena: number
  readonly #arenas: ArrayBuffer[] = []
  /** Places that nobody has: arena * perArena + place in it. */
  readonly #free: number[] = []

  /**
   * @param isHuge - pages of 2 MiB: faster to fill and to read, and up to 2 MiB more for each zone that is not full
   * @throws UblkError ENOMEM; Error when there is no addon
   */
  constructor({ zoneCount, zoneSizeBytes }: Geometry, isHuge: boolean) {
    this.pageBytes = isHuge ? HUGE_PAGE_BYTES : PAGE_BYTES
    this.#strideBytes = Math.ceil(zoneSizeBytes / this.pageBytes) * this.pageBytes
    this.#perArena = Math.min(zoneCount, Math.floor(ARENA_BYTES / this.#strideBytes))
    this.#map()
  }

  /** Throws UblkError ENOMEM. */
  take(bytes: number): Uint8Array {
    if (this.#free.length === 0) this.#map()
    const place = this.#free.pop()!
    const offset = (place % this.#perArena) * this.#strideBytes
    return new Uint8Array(this.#arenas[Math.floor(place / this.#perArena)]!, offset, bytes)
  }

  give({ buffer, byteOffset }: Uint8Array): void {
    const arena = this.#arenas.indexOf(buffer as ArrayBuffer)
    giveBack(this.#arenas[arena]!, byteOffset, this.#strideBytes)
    this.#free.push(arena * this.#perArena + byteOffset / this.#strideBytes)
  }

  #map(): void {
    const first = this.#arenas.length * this.#perArena
    this.#arenas.push(mapLazy(this.#perArena * this.#strideBytes, this.pageBytes > PAGE_BYTES))
    for (let place = this.#perArena - 1; place >= 0; place--) this.#free.push(first + place)
  }
}
