/**
 * A stage: the next pages of an open zone, in memory, where slabs are built in place and read until they are on the drive.
 *
 * Beside each slab are the hashes of its records, which the zone's index will need; nothing has to be hashed twice.
 */
import { PAGE_BYTES } from './layout.js'
import { SLOTS_MAX } from './size-classes.js'

/** 256 KiB: one write of a full stage. */
export const STAGE_PAGES = 64
export const STAGE_BYTES = STAGE_PAGES * PAGE_BYTES

export const PAGE_EMPTY = 0
/** A slab that still takes records. */
export const PAGE_OPEN = 1
/** A slab that is complete. */
export const PAGE_SEALED = 2
/** The first page of a run, whose hash is that of slot 0. */
export const PAGE_RUN = 3
export const PAGE_MARKS = 4
/** Of a header, an index, or the rest of a run: no item of its own in the zone's index. */
export const PAGE_OTHER = 5

export class Stage {
  readonly states = new Uint8Array(STAGE_PAGES)
  readonly places = new Int32Array(STAGE_PAGES * SLOTS_MAX)
  readonly tags = new Int32Array(STAGE_PAGES * SLOTS_MAX)

  /** The same bytes. */
  readonly view: DataView

  /** `bytes`: STAGE_BYTES of memory that the device takes for writes. */
  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  clear(): void {
    this.states.fill(PAGE_EMPTY)
  }

  get memoryBytes(): number {
    return this.bytes.length + this.places.byteLength + this.tags.byteLength + STAGE_PAGES
  }
}
