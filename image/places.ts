/**
 * Where the bytes of a page are, from its kind and word; and the word of a page that is lost.
 */
import {
  COMPRESSED_BYTES_MAX,
  PAGE_BYTES,
  PAGE_COMPRESSED,
  PAGE_RAW,
} from '../ublk-native/index.js'
import type { StateLayout } from './layout.js'

/** No compressed page is as long as this, so the media refuses to read such a page: EIO. */
const LOST_LENGTH = COMPRESSED_BYTES_MAX + 1

/** Kind and word of a page that repair could not save. The word as two halves. */
export const LOST_KIND = PAGE_COMPRESSED
export const LOST_WORD_LOW = 0
export const LOST_WORD_HIGH = LOST_LENGTH * 2 ** 16

export interface Place {
  /** In `data`. */
  readonly position: number
  readonly length: number
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
    kind === PAGE_RAW ? length === PAGE_BYTES : length > 0 && length <= COMPRESSED_BYTES_MAX
  return isLength && from >= 0 && from + length <= layout.strideBytes ? { position, length } : null
}
