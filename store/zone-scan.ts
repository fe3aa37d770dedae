/**
 * Reads what a zone says of itself after a restart: its header, the indexes of its groups from the last to the first, and,
 * where it was still being written, the pages after the last index.
 */
import type { ZonedDevice } from '../zone-model/index.js'
import { type GroupTrailer, isWholeIndex, readTrailer } from './group-index.js'
import { KIND_MARKS, KIND_RUN, KIND_SLAB, kindOf, PAGE_BYTES, PAGE_SECTORS } from './layout.js'
import { isRunStart, isWholeRun, runPagesAt } from './run.js'
import { isPossibleSlab } from './slab.js'
import { readZoneHeader, type ZoneHeader } from './zone-header.js'

/** Read at once: a group's index is shorter as a rule. */
const READ_PAGES = 64
/** What is read of a group before it is known how long its index is; later ones are taken to be as long as the one before. */
const INDEX_PAGES_GUESS = 9

export interface ScannedGroup {
  readonly trailer: GroupTrailer
  readonly index: Uint8Array
}

/** A zone with something on it. */
export interface ScannedZone {
  readonly physical: number
  readonly header: ZoneHeader
  /** Pages up to the write pointer. */
  readonly pages: number
  /** In the order of their pages. */
  readonly groups: readonly ScannedGroup[]
  /** Where the pages begin that no index speaks of. */
  readonly tailPage: number
  /** Groups that could not be read: their objects are lost. */
  readonly damagedGroups: number
}

/** A page behind the last index, or all pages of a run. `kind` 0: nothing that counts. */
export interface TailPage {
  readonly kind: number
  readonly bytes: Uint8Array
  readonly base: number
  readonly page: number
  readonly pages: number
}

export class ZoneScanner {
  pagesRead = 0
  #guess = INDEX_PAGES_GUESS

  constructor(
    private readonly device: ZonedDevice,
    private readonly pagesPerZone: number,
  ) {}

  async header(physical: number): Promise<ZoneHeader | null> {
    return readZoneHeader(await this.read(physical, 0, 1), 0)
  }

  /** `pages`: up to the write pointer. `end`: the zone's last group, if it is known. Rejects when the device does. */
  async scan(
    physical: number,
    header: ZoneHeader,
    pages: number,
    end?: ScannedGroup | null,
  ): Promise<ScannedZone> {
    const groups: ScannedGroup[] = []
    let last = end ?? (await this.#lastGroup(physical, header, pages))
    const tailPage = last === null ? 1 : last.trailer.trailerPage + 1
    let damagedGroups = 0
    while (last !== null) {
      if (isWholeIndex(last.index)) groups.unshift(last)
      else damagedGroups++
      const { previousTrailer } = last.trailer
      last = await this.#groupAt(physical, header, previousTrailer)
      if (last === null && previousTrailer !== 0) damagedGroups++
    }
    return { physical, header, pages, groups, tailPage, damagedGroups }
  }

  /** The last group of a full zone, unchecked: it knows when the whole zone is past. Null when there is none at the end. */
  async endOf(physical: number, header: ZoneHeader): Promise<ScannedGroup | null> {
    return this.#groupAt(physical, header, this.pagesPerZone - 1)
  }

  /** The pages behind the last index, runs as one. */
  async *tail({
    physical,
    tailPage,
    pages,
  }: Pick<ScannedZone, 'physical' | 'tailPage' | 'pages'>): AsyncGenerator<TailPage> {
    for (let page = tailPage; page < pages; ) {
      const count = Math.min(READ_PAGES, pages - page)
      const bytes = await this.read(physical, page, count)
      let at = 0
      while (at < count) {
        const base = at * PAGE_BYTES
        const long = isRunStart(bytes, base) ? runPagesAt(bytes, base) : 1
        // A run that would end behind the write pointer is torn: only its pages count, as nothing.
        const length = page + at + long > pages ? 1 : long
        const found =
          at + length > count
            ? tailPageOf(await this.read(physical, page + at, length), 0, page + at, length)
            : tailPageOf(bytes, base, page + at, length)
        yield found
        at += found.pages
      }
      page += at
    }
  }

  async read(physical: number, page: number, pages: number): Promise<Uint8Array> {
    const bytes = this.device.allocate(pages * PAGE_BYTES)
    const sector = physical * this.device.geometry.zoneSizeSectors + page * PAGE_SECTORS
    const most = this.device.geometry.maxAppendBytes
    for (let at = 0; at < bytes.length; at += most) {
      await this.device.read(sector + at / 512, bytes.subarray(at, at + most))
    }
    this.pagesRead += pages
    return bytes
  }

  /** From the write pointer backwards. */
  async #lastGroup(
    physical: number,
    header: ZoneHeader,
    pages: number,
  ): Promise<ScannedGroup | null> {
    // Of a full zone it is at the end.
    const atEnd = await this.#groupAt(physical, header, pages - 1)
    if (atEnd !== null) return atEnd
    for (let end = pages; end > 1; ) {
      const first = Math.max(1, end - READ_PAGES)
      const bytes = await this.read(physical, first, end - first)
      for (let page = end - 1; page >= first; page--) {
        const trailer = readTrailer(bytes, (page - first + 1) * PAGE_BYTES)
        if (isTrailerOf(trailer, header, page)) return this.#groupAt(physical, header, page)
      }
      end = first
    }
    return null
  }

  /** The group whose trailer is in the page, with one read as a rule. */
  async #groupAt(physical: number, header: ZoneHeader, page: number): Promise<ScannedGroup | null> {
    if (page === 0) return null
    const count = Math.min(page, this.#guess)
    const bytes = await this.read(physical, page - count + 1, count)
    const trailer = readTrailer(bytes, bytes.length)
    if (!isTrailerOf(trailer, header, page)) return null
    const { indexPages } = trailer
    this.#guess = Math.min(READ_PAGES, indexPages + 1)
    const index =
      indexPages <= count
        ? bytes.subarray(bytes.length - indexPages * PAGE_BYTES)
        : await this.read(physical, page - indexPages + 1, indexPages)
    return { trailer, index }
  }
}

function tailPageOf(bytes: Uint8Array, base: number, page: number, pages: number): TailPage {
  let kind = 0
  if (isRunStart(bytes, base)) kind = isWholeRun(bytes, base) ? KIND_RUN : 0
  else if (kindOf(bytes, base) === KIND_MARKS) kind = KIND_MARKS
  else if (kindOf(bytes, base) === KIND_SLAB && isPossibleSlab(bytes, base)) kind = KIND_SLAB
  return { kind, bytes, base, page, pages: kind === 0 ? 1 : pages }
}

function isTrailerOf(
  trailer: GroupTrailer | null,
  header: ZoneHeader,
  page: number,
): trailer is GroupTrailer {
  return (
    trailer !== null &&
    trailer.zoneSequence === header.sequence &&
    trailer.trailerPage === page &&
    trailer.indexPages <= page &&
    trailer.previousTrailer < trailer.firstPage &&
    trailer.firstPage <= page - trailer.indexPages + 1
  )
}
