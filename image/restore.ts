/**
 * From the durable state to the working state: `table` and `pages` as the drive has them after a power cut.
 *
 * What was copied while others wrote is made legal: the rules of ZNS for power loss (zone-model/power-loss.ts), then for each
 * zone nothing is left behind its write pointer, and its memory ends behind its last page. A zone keeps its slot of the tier while
 * it has pages there. Doing it again gives the same; nothing in DIR is changed but sectors of `data`, or of the tier, behind a
 * write pointer.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import {
  mapShared,
  PAGE_BYTES,
  PAGE_COMPRESSED,
  PAGE_FILL,
  PAGE_HOLE,
  PAGE_RAW,
  PAGE_TIERED,
  PAGES_HEADER_BYTES,
  PAGES_OWNER,
  REGION_BYTES,
  REGION_READY,
  REGION_SLOT,
  unmapShared,
} from '../ublk-native/index.js'
import { losePower, type PowerLoss, wpOf, ZoneTable } from '../zone-model/index.js'
import { DirtyBlocks } from './dirty.js'
import type { ImageFile } from './files.js'
import { BLOCK_BYTES, SECTORS_A_PAGE, type StateLayout } from './layout.js'
import { isInTier, isKind, isLost, placeOf, SlotMap } from './places.js'
import type { ImageStore } from './store.js'
import { damaged } from './superblock.js'
import { slotAt } from './tier.js'

/** The table of the durable state, without the blocks' padding. */
export function durableTable(store: ImageStore): Uint8Array {
  const { layout } = store
  const table = new Uint8Array(layout.tableBlocks * BLOCK_BYTES)
  for (let block = 0; block < layout.tableBlocks; block++)
    table.set(store.block(block), block * BLOCK_BYTES)
  return table.subarray(0, layout.tableBytes)
}

/** The zone table in the bytes of a `table` file. */
export function tableIn(bytes: Uint8Array, layout: StateLayout): ZoneTable {
  const { queueCount, depth } = layout.description
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, layout.tableBytes >> 2)
  return new ZoneTable(words, layout.geometry, queueCount, depth)
}

/** @throws ImageError `IMAGE_ERR_DAMAGED`; UblkError, and what Node's fs throws */
export function restoreState(
  store: ImageStore,
  data: ImageFile,
  tier: ImageFile | null,
  stateDirectory: string,
): PowerLoss {
  store.journal.refuseDamage()
  const { layout } = store
  const bytes = durableTable(store)
  const table = tableIn(bytes, layout)
  const loss = losePower(table)
  const buffer = mapShared(join(stateDirectory, 'table'), layout.tableBytes, true)
  new Uint8Array(buffer).set(bytes)
  unmapShared(buffer)
  const blocks = writePages(store, join(stateDirectory, 'pages'))
  const pages = mapShared(join(stateDirectory, 'pages'), layout.pagesBytes, false)
  const marks = [0, 1].map(() => new Int32Array(layout.dirtyBytes / 4)) as [Int32Array, Int32Array]
  const dirty = new DirtyBlocks(...marks)
  new PagesRestorer(store, table, pages, dirty, { data, tier }).run(blocks)
  unmapShared(pages)
  for (const [name, words] of [
    ['dirty', marks[0]],
    ['flushing', marks[1]],
  ] as const) {
    const file = mapShared(join(stateDirectory, name), layout.dirtyBytes, true)
    new Int32Array(file).set(words)
    unmapShared(file)
  }
  return loss
}

/** Writes the blocks that are not holes, and all of the head and the regions. Gives their numbers, from the first of `pages`. */
function writePages(store: ImageStore, path: string): number[] {
  const { layout } = store
  const fd = openSync(path, 'w+', 0o600)
  const blocks: number[] = []
  try {
    ftruncateSync(fd, layout.pagesBytes)
    for (let block = 0; block < layout.pagesBlocks; block++) {
      const number = layout.tableBlocks + block
      const at = block * BLOCK_BYTES
      if (at >= layout.kindsAt && store.isHole(number)) continue
      writeSync(fd, store.block(number), 0, layout.blockLength(number), at)
      blocks.push(block)
    }
  } finally {
    closeSync(fd)
  }
  return blocks
}

class PagesRestorer {
  readonly #layout: StateLayout
  readonly #kinds: Uint8Array
  readonly #words: Uint32Array
  /** Bytes taken of each zone's part of `data`. */
  readonly #cursors: Float64Array
  readonly #slots: SlotMap
  #hasClearedTier = false

  constructor(
    private readonly store: ImageStore,
    private readonly table: ZoneTable,
    private readonly pages: ArrayBuffer,
    private readonly dirty: DirtyBlocks,
    private readonly files: { data: ImageFile; tier: ImageFile | null },
  ) {
    const { layout } = store
    this.#layout = layout
    this.#kinds = new Uint8Array(pages, layout.kindsAt, layout.pageCount)
    this.#words = new Uint32Array(pages, layout.wordsAt, layout.pageCount * 2)
    this.#cursors = new Float64Array(layout.geometry.zoneCount)
    this.#slots = new SlotMap(pages, layout, store.superblock.tier?.slotCount ?? 0)
  }

  run(blocks: readonly number[]): void {
    for (const block of blocks) {
      const [from, to] = this.#layout.kindsIn(block)
      for (let page = from; page < to; page++)
        if (this.#kinds[page] !== PAGE_HOLE) this.#restorePage(page)
    }
    this.#writeRegions()
    // The next commit need not sync the tier.
    if (this.#hasClearedTier) this.files.tier!.sync()
  }

  #restorePage(page: number): void {
    const { pagesAZone, inPlacePages } = this.#layout
    const kind = this.#kinds[page]!
    if (!isKind(kind)) this.#refuse(page, `page ${page} is of no kind that there is`)
    if (page < inPlacePages) {
      if (kind >= PAGE_COMPRESSED) this.#endOf(page, kind, 0)
      return
    }
    const zone = Math.floor(page / pagesAZone)
    const wp = wpOf(this.table.load(zone)) - (page - zone * pagesAZone) * SECTORS_A_PAGE
    if (wp <= 0) {
      this.#kinds[page] = PAGE_HOLE
      this.dirty.mark(Math.floor((this.#layout.kindsAt + page) / BLOCK_BYTES))
      return
    }
    if (kind === PAGE_FILL) return
    const end = this.#endOf(page, kind, zone)
    this.#cursors[zone] = Math.max(this.#cursors[zone]!, end)
    if (isInTier(kind) && this.#slots.take(zone) === 0)
      this.#refuse(page, `page ${page} is in the tier, but its zone has no slot there`)
    const isRaw = (kind & ~PAGE_TIERED) === PAGE_RAW
    if (wp < SECTORS_A_PAGE && isRaw) this.#clearTail(page, zone, wp * 512)
  }

  /** Where a page's bytes end, from the beginning of its zone's part of `data`; rounded up as the media does. */
  #endOf(page: number, kind: number, zone: number): number {
    const low = this.#words[page * 2]!
    const high = this.#words[page * 2 + 1]!
    if (isLost(kind, high)) return 0
    const place = placeOf(this.#layout, page, kind, low, high)
    if (place === null) this.#refuse(page, `the place of page ${page} is none of its zone's`)
    return Math.ceil((place.position + place.length - this.#layout.dataBase(zone)) / 8) * 8
  }

  /** Sectors behind the write pointer read as zeros; what is there was in flight. */
  #clearTail(page: number, zone: number, fromBytes: number): void {
    const position = (this.#words[page * 2 + 1]! & 0xffff) * 2 ** 32 + this.#words[page * 2]!
    const zeros = new Uint8Array(PAGE_BYTES - fromBytes)
    if (!isInTier(this.#kinds[page]!)) return this.files.data.write(position + fromBytes, zeros)
    const slot = slotAt(this.#layout, this.#slots.take(zone))
    this.files.tier!.write(slot + position - this.#layout.dataBase(zone) + fromBytes, zeros)
    this.#hasClearedTier = true
  }

  #refuse(page: number, what: string): never {
    const block = Math.floor((this.#layout.kindsAt + page) / BLOCK_BYTES)
    const offset = this.store.map.offsetOf(this.#layout.tableBlocks + block)
    damaged(`${this.store.directory}/map`, offset, what)
  }

  /** Counters are made by who opens the media first (owner 0: nobody has counted). */
  #writeRegions(): void {
    const { geometry } = this.#layout
    const head = new DataView(this.pages, 0, this.#layout.kindsAt)
    for (let at = PAGES_OWNER; at < this.#layout.kindsAt; at += 8) head.setFloat64(at, 0)
    for (let zone = geometry.conventionalCount; zone < geometry.zoneCount; zone++) {
      const at = PAGES_HEADER_BYTES + zone * REGION_BYTES
      const cursor = this.#cursors[zone]!
      head.setBigUint64(at, BigInt(cursor), true)
      const ready = Math.ceil(cursor / PAGE_BYTES) * PAGE_BYTES
      head.setBigUint64(at + REGION_READY, BigInt(ready), true)
      head.setBigUint64(at + REGION_SLOT, BigInt(this.#slots.taken(zone)), true)
    }
  }
}
