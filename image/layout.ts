/**
 * How the state of a device is cut into blocks of 4 KiB: those of `table` first, those of `pages` behind them, in one numbering.
 *
 * Within `pages` (docs/BOUNDARY.md): header, regions, kinds (1 byte a page), words (8 bytes a page). A block may hold the end of
 * one part and the beginning of the next.
 */
import { PAGE_BYTES, PAGES_HEADER_BYTES, REGION_BYTES } from '../ublk-native/index.js'
import { Geometry, ZoneTable } from '../zone-model/index.js'
import type { ImageDescription } from './description.js'
import { ImageError } from './errors.js'

export const BLOCK_BYTES = 4096
export const SECTORS_A_PAGE = PAGE_BYTES / 512
const SLACK_BYTES_MIN = 64 * 1024

/** Bytes of `data`, and of the tier, for one zone that is written in order. */
export function slotBytesOf(zoneSizeBytes: number): number {
  return zoneSizeBytes + Math.max(SLACK_BYTES_MIN, zoneSizeBytes / 16)
}

export class StateLayout {
  readonly geometry: Geometry
  readonly tableBytes: number
  /** Blocks of `table`; block number `tableBlocks` is the first of `pages`. */
  readonly tableBlocks: number
  readonly pagesBytes: number
  readonly pagesBlocks: number
  readonly blockCount: number
  readonly pageCount: number
  readonly pagesAZone: number
  /** Pages before this one are in place (conventional zones). */
  readonly inPlacePages: number
  /** Offsets in `pages`. */
  readonly kindsAt: number
  readonly wordsAt: number
  readonly dataBytes: number
  /** Bytes of `data` for one zone that is written in order. */
  readonly strideBytes: number
  readonly dirtyBytes: number

  /** @throws ZoneModelError for a geometry that is none; ImageError `IMAGE_ERR_OPTION` for a table that is too small */
  constructor(readonly description: ImageDescription) {
    const { queueCount, depth, tableBytes } = description
    const geometry = Geometry.create(description.geometry)
    const tableNeeded = ZoneTable.wordsNeeded(geometry, queueCount, depth) * 4
    if (!(tableBytes >= tableNeeded)) {
      const message = `a table of ${tableBytes} bytes is too small for this device: it needs ${tableNeeded}`
      throw new ImageError('IMAGE_ERR_OPTION', message)
    }
    const { zoneCount, zoneSizeBytes, conventionalCount, totalBytes } = geometry
    this.geometry = geometry
    this.tableBytes = tableBytes
    this.tableBlocks = Math.ceil(tableBytes / BLOCK_BYTES)
    this.pageCount = totalBytes / PAGE_BYTES
    this.pagesAZone = zoneSizeBytes / PAGE_BYTES
    this.inPlacePages = conventionalCount * this.pagesAZone
    this.kindsAt = PAGES_HEADER_BYTES + zoneCount * REGION_BYTES
    this.wordsAt = Math.ceil((this.kindsAt + this.pageCount) / 8) * 8
    this.pagesBytes = this.wordsAt + this.pageCount * 8
    this.pagesBlocks = Math.ceil(this.pagesBytes / BLOCK_BYTES)
    this.blockCount = this.tableBlocks + this.pagesBlocks
    this.strideBytes = slotBytesOf(zoneSizeBytes)
    const conventionalBytes = conventionalCount * zoneSizeBytes
    this.dataBytes = conventionalBytes + (zoneCount - conventionalCount) * this.strideBytes
    this.dirtyBytes = Math.ceil(this.pagesBlocks / 32) * 4
  }

  /** Bytes of a block that there are: the last ones of the two files are shorter. */
  blockLength(block: number): number {
    const isTable = block < this.tableBlocks
    const at = (isTable ? block : block - this.tableBlocks) * BLOCK_BYTES
    return Math.min(BLOCK_BYTES, (isTable ? this.tableBytes : this.pagesBytes) - at)
  }

  /** Where a zone's part of `data` begins; the zone is written in order. */
  dataBase(zone: number): number {
    const { conventionalCount, zoneSizeBytes } = this.geometry
    return conventionalCount * zoneSizeBytes + (zone - conventionalCount) * this.strideBytes
  }

  /** Pages whose kinds are, at least in part, in a block of `pages` (counted from the first of `pages`): [from, to). */
  kindsIn(pagesBlock: number): readonly [number, number] {
    const at = pagesBlock * BLOCK_BYTES - this.kindsAt
    return [Math.max(0, at), Math.min(this.pageCount, at + BLOCK_BYTES)]
  }

  /** The same for words. */
  wordsIn(pagesBlock: number): readonly [number, number] {
    const at = (pagesBlock * BLOCK_BYTES - this.wordsAt) / 8
    return [Math.max(0, at), Math.min(this.pageCount, at + BLOCK_BYTES / 8)]
  }
}
