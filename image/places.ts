/**
 * Where the bytes of a page are, from its kind and word, and its zone's slot of the tier; and the word of a page that is lost.
 */
import {
  COMPRESSED_BYTES_MAX,
  PAGE_BYTES,
  PAGE_COMPRESSED,
  PAGE_RAW,
  PAGE_TIERED,
  PAGES_HEADER_BYTES,
  REGION_BYTES,
  REGION_SLOT,
} from '../ublk-native/index.js'
import type { StateLayout } from './layout.js'

/** No compressed page is as long as this, so the media refuses to read such a page: EIO. */
const LOST_LENGTH = COMPRESSED_BYTES_MAX + 1

/** Kind and word of a page that repair could not save. The word as two halves. */
export const LOST_KIND = PAGE_COMPRESSED
export const LOST_WORD_LOW = 0
export const LOST_WORD_HIGH = LOST_LENGTH * 2 ** 16

export interface Place {
  /** In `data`; of a page in the tier, where it was: it is as far from the beginning of its zone's slot as from that of its part. */
  readonly position: number
  readonly length: number
}

/** Whether a kind is that of a page whose bytes are in the tier. */
export function isInTier(kind: number): boolean {
  return kind === (PAGE_RAW | PAGE_TIERED) || kind === (PAGE_COMPRESSED | PAGE_TIERED)
}

/** Whether there is such a kind. */
export function isKind(kind: number): boolean {
  return kind <= PAGE_COMPRESSED || isInTier(kind)
}

export function isLost(kind: number, high: number): boolean {
  return kind === LOST_KIND && high >>> 16 === LOST_LENGTH
}

/** The place of a raw or compressed page; null when it is none that the page could have. */
export function placeOf(
  layout: StateLayout,
  page: number,
  kind: number,
  low: number,
  high: number,
): Place | null {
  if (page < layout.inPlacePages)
    return kind === PAGE_RAW ? { position: page * PAGE_BYTES, length: PAGE_BYTES } : null
  const position = (high & 0xffff) * 2 ** 32 + low
  const length = high >>> 16
  const from = position - layout.dataBase(Math.floor(page / layout.pagesAZone))
  const isLength =
    (kind & ~PAGE_TIERED) === PAGE_RAW
      ? length === PAGE_BYTES
      : length > 0 && length <= COMPRESSED_BYTES_MAX
  return isLength && from >= 0 && from + length <= layout.strideBytes ? { position, length } : null
}

/**
 * The slots of the tier, by zone, as a page map has them. Only that of a zone with pages there means something: another zone may
 * have it by now. So they are taken, for one page after the other, and what nobody takes is free.
 */
export class SlotMap {
  readonly #slots: number[] = []
  readonly #owners = new Map<number, number>()

  /** @param pages - the page map, or as much of it as has the regions */
  constructor(pages: ArrayBufferLike, layout: StateLayout, slotCount: number) {
    const head = new DataView(pages, 0, layout.kindsAt)
    for (let zone = 0; zone < layout.geometry.zoneCount; zone++) {
      const at = PAGES_HEADER_BYTES + zone * REGION_BYTES + REGION_SLOT
      const slot = Number(head.getBigUint64(at, true))
      this.#slots.push(slot <= slotCount ? slot : 0)
    }
  }

  /** The slot of a zone with a page in the tier, from 1; 0: it has none, or one that another zone has taken. */
  take(zone: number): number {
    const slot = this.#slots[zone]!
    const owner = this.#owners.get(slot) ?? zone
    if (slot === 0 || owner !== zone) return 0
    this.#owners.set(slot, zone)
    return slot
  }

  /** The slot that was taken for a zone; 0: none. */
  taken(zone: number): number {
    const slot = this.#slots[zone]!
    return this.#owners.get(slot) === zone ? slot : 0
  }
}
