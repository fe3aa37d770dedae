/**
 * Memory that the kernel takes for O_DIRECT: it begins where a page does.
 *
 * Pieces are cut from arenas and never come back one by one: an arena goes when nothing refers to a piece of it any more.
 */
import { closeSync } from 'node:fs'
import { createMemfd, mapShared } from '../ublk-native/index.js'

const PAGE_BYTES = 4096
const ARENA_BYTES = 1024 * 1024

/** Zeros, at the begin of a page. Throws UblkError ENOMEM. */
function mapPages(bytes: number): ArrayBuffer {
  const fd = createMemfd('zslab-aligned')
  try {
    return mapShared(`/proc/self/fd/${fd}`, Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES, true)
  } finally {
    closeSync(fd)
  }
}

export class AlignedMemory {
  readonly #arenas = new WeakSet<ArrayBufferLike>()
  #arena: ArrayBuffer | null = null
  #used = 0

  /** `bytes` of zeros. Throws UblkError ENOMEM. */
  allocate(bytes: number): Uint8Array {
    const whole = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
    if (whole > ARENA_BYTES / 4) return new Uint8Array(this.#newArena(whole), 0, bytes)
    if (this.#arena === null || this.#used + whole > ARENA_BYTES) {
      this.#arena = this.#newArena(ARENA_BYTES)
      this.#used = 0
    }
    const piece = new Uint8Array(this.#arena, this.#used, bytes)
    this.#used += whole
    return piece
  }

  /** Whether bytes are of such memory, and begin at a multiple of `alignment`. */
  isAligned(bytes: Uint8Array, alignment: number): boolean {
    return bytes.byteOffset % alignment === 0 && this.#arenas.has(bytes.buffer)
  }

  #newArena(bytes: number): ArrayBuffer {
    const arena = mapPages(bytes)
    this.#arenas.add(arena)
    return arena
  }
}
