/**
 * What of a damaged image is whole and what is lost, zone by zone. Looks only: nothing is changed.
 *
 * What can be found: blocks of the map with a wrong checksum, pages whose place cannot be theirs, that lie in a hole of `data` or
 * behind its end (or of the tier), or that do not expand. What cannot: bytes of raw pages that have changed on the disk; there is no checksum of
 * the data.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import {
  PAGE_BYTES,
  PAGE_FILL,
  PAGE_HOLE,
  PAGE_RAW,
  PAGE_TIERED,
  seekFile,
} from '../ublk-native/index.js'
import { conditionName, conditionOf, losePower, wpOf, type ZoneTable } from '../zone-model/index.js'
import { freshState } from './create.js'
import { PageExpander } from './expander.js'
import { BLOCK_BYTES, SECTORS_A_PAGE, type StateLayout } from './layout.js'
import { isInTier, isKind, isLost, type Place, placeOf, type SlotMap } from './places.js'
import { tableIn } from './restore.js'
import type { FileDamage, Salvage } from './salvage.js'
import { slotAt } from './tier.js'

const MARKED = 'lost before the last repair'

export interface LostPages {
  /** Sectors from the zone's start. */
  readonly offsetSectors: number
  countSectors: number
  readonly why: string
  /** Reading it is an error already (EIO), by an earlier repair. */
  readonly isMarked: boolean
}

export interface ZoneInspection {
  readonly zone: number
  /** As they will be when the image is used again. */
  readonly condition: string
  readonly writePointerSectors: number
  /** Pages with contents. */
  pages: number
  /** Nothing is known of the zone any more: why. null: it is. */
  lostZone: string | null
  readonly lost: LostPages[]
}

export interface Inspection {
  readonly directory: string
  readonly isSnapshot: boolean
  /** Nothing is lost. */
  readonly isWhole: boolean
  /** Something is damaged that no repair has dealt with: the image cannot be used, or would give wrong bytes. */
  readonly needsRepair: boolean
  readonly damage: readonly FileDamage[]
  /** Path; null: the image has none. */
  readonly tier: string | null
  /** Nothing can be read from the tier: a repair takes it away from the image. */
  readonly isTierLost: boolean
  readonly zones: readonly ZoneInspection[]
}

/** The zone table of a state, legal; blocks that are damaged are as new, and their zones in `lost`. */
export function readTable(salvage: Salvage): { bytes: Uint8Array; lost: Map<number, string> } {
  const { layout } = salvage
  const bytes = new Uint8Array(layout.tableBlocks * BLOCK_BYTES)
  const fresh = freshState(layout)
  const lost = new Map<number, string>()
  const touched = new Set<number>()
  for (let block = 0; block < layout.tableBlocks; block++) {
    const found = salvage.block(block)
    if (!found.isWhole) touched.add(block)
    const good = found.isWhole ? found.bytes : (fresh.get(block) ?? found.bytes)
    bytes.set(good, block * BLOCK_BYTES)
  }
  const table = tableIn(bytes, layout)
  const why = 'its part of the zone table is damaged'
  for (let zone = layout.geometry.conventionalCount; zone < table.zoneCount; zone++) {
    const at = table.zoneByteOffset(zone)
    if (touched.has(Math.floor(at / BLOCK_BYTES))) lost.set(zone, why)
  }
  findLater(salvage, bytes, lost)
  losePower(table)
  return { bytes, lost }
}

/** Zones that records behind a damaged one say were reset: their old bytes have been overwritten. */
function findLater(salvage: Salvage, bytes: Uint8Array, lost: Map<number, string>): void {
  const { layout, journal } = salvage
  const later = bytes.slice()
  for (const [block, newer] of journal?.later ?? [])
    if (block < layout.tableBlocks) later.set(newer, block * BLOCK_BYTES)
  const [before, after] = [tableIn(bytes, layout), tableIn(later, layout)]
  for (let zone = layout.geometry.conventionalCount; zone < before.zoneCount; zone++) {
    if (before.statistics(zone).resets === after.statistics(zone).resets) continue
    lost.set(zone, 'it was reset in a commit that is lost')
  }
}

/** The parts of a file that have bytes, by their offsets. A block device has them all. */
class Extents {
  readonly #fd: number
  readonly bytes: number
  readonly #isDevice: boolean
  #from = 0
  #to = 0

  constructor(path: string) {
    this.#fd = openSync(path, 'r')
    const stats = fstatSync(this.#fd)
    this.bytes = stats.size
    this.#isDevice = stats.isBlockDevice()
  }

  has(position: number, length: number): boolean {
    if (this.#isDevice)
      return readSync(this.#fd, Buffer.alloc(1), 0, 1, position + length - 1) === 1
    if (position < this.#from || position >= this.#to) {
      this.#from = seekFile(this.#fd, position, false)
      if (this.#from < 0) this.#from = this.bytes
      this.#to = this.#from < this.bytes ? seekFile(this.#fd, this.#from, true) : this.bytes
    }
    return position >= this.#from && position + length <= this.#to
  }

  close(): void {
    closeSync(this.#fd)
  }
}

class Inspector {
  readonly #layout: StateLayout
  readonly #extents: Extents
  readonly #expander: PageExpander | null
  readonly #tier: Extents | null
  readonly #slots: SlotMap
  readonly zones: ZoneInspection[] = []
  #wordsBlock = -1
  #words: { bytes: DataView; isWhole: boolean } | null = null

  constructor(
    private readonly salvage: Salvage,
    table: ZoneTable,
    lost: ReadonlyMap<number, string>,
  ) {
    const { layout, directory } = salvage
    this.#layout = layout
    this.#extents = new Extents(`${directory}/data`)
    if (this.#extents.bytes !== layout.dataBytes) {
      const what = `it has been cut or grown: it should have ${layout.dataBytes} bytes`
      salvage.damage.push({ file: `${directory}/data`, offset: this.#extents.bytes, what })
    }
    const isCompressed = layout.description.compression !== 'none'
    const canExpand = isCompressed && this.#extents.bytes === layout.dataBytes
    this.#expander = canExpand ? new PageExpander(salvage) : null
    const { tier } = salvage
    this.#tier = tier?.file == null ? null : new Extents(tier.path)
    this.#slots = salvage.slots()
    for (let zone = 0; zone < table.zoneCount; zone++) {
      const word = table.load(zone)
      this.zones.push({
        zone,
        condition: conditionName(conditionOf(word)),
        writePointerSectors: wpOf(word),
        pages: 0,
        lostZone: lost.get(zone) ?? null,
        lost: [],
      })
    }
  }

  run(): void {
    for (let block = 0; block < this.#layout.pagesBlocks; block++) {
      const [from, to] = this.#layout.kindsIn(block)
      if (from >= to || this.salvage.isHole(this.#layout.tableBlocks + block)) continue
      const { bytes, isWhole } = this.salvage.block(this.#layout.tableBlocks + block)
      const shift = this.#layout.kindsAt - block * BLOCK_BYTES
      for (let page = from; page < to; page++)
        this.#look(page, isWhole ? bytes[page + shift]! : null)
    }
    this.#extents.close()
    this.#tier?.close()
    this.#expander?.close()
  }

  /** @param kind - null: it is damaged */
  #look(page: number, kind: number | null): void {
    const { pagesAZone, inPlacePages } = this.#layout
    const zone = this.zones[Math.floor(page / pagesAZone)]!
    const offset = (page % pagesAZone) * SECTORS_A_PAGE
    if (page >= inPlacePages && offset >= zone.writePointerSectors) return
    if (kind === PAGE_HOLE || zone.lostZone !== null) return
    zone.pages++
    const why = kind === null ? 'the page map is damaged' : this.#whyLost(page, kind)
    if (why === null) return
    const last = zone.lost.at(-1)
    if (last !== undefined && last.why === why && last.offsetSectors + last.countSectors === offset)
      last.countSectors += SECTORS_A_PAGE
    else {
      const isMarked = why === MARKED
      zone.lost.push({ offsetSectors: offset, countSectors: SECTORS_A_PAGE, why, isMarked })
    }
  }

  #wordsOf(page: number): { low: number; high: number } | null {
    const at = this.#layout.wordsAt + page * 8
    const block = Math.floor(at / BLOCK_BYTES)
    if (block !== this.#wordsBlock) {
      const { bytes, isWhole } = this.salvage.block(this.#layout.tableBlocks + block)
      this.#words = { bytes: new DataView(bytes.buffer, bytes.byteOffset, BLOCK_BYTES), isWhole }
      this.#wordsBlock = block
    }
    const { bytes, isWhole } = this.#words!
    const within = at % BLOCK_BYTES
    return isWhole
      ? { low: bytes.getUint32(within, true), high: bytes.getUint32(within + 4, true) }
      : null
  }

  #whyLost(page: number, kind: number): string | null {
    if (!isKind(kind)) return 'the page map is damaged'
    const isInPlace = page < this.#layout.inPlacePages
    if (isInPlace && kind === PAGE_RAW)
      return (page + 1) * PAGE_BYTES > this.#extents.bytes ? 'behind the end of `data`' : null
    const words = this.#wordsOf(page)
    if (words === null) return 'the page map is damaged'
    if (kind === PAGE_FILL) return null
    if (isLost(kind, words.high)) return MARKED
    const place = placeOf(this.#layout, page, kind, words.low, words.high)
    if (place === null) return 'the page map points to where the page cannot be'
    const zone = Math.floor(page / this.#layout.pagesAZone)
    const slot = isInTier(kind) ? this.#slots.take(zone) : 0
    const why = isInTier(kind) ? this.#whyNotInTier(zone, slot, place) : this.#whyNotInData(place)
    if (why !== null) return why
    if ((kind & ~PAGE_TIERED) === PAGE_RAW || this.#expander === null) return null
    return this.#expander.canRead(page, kind, words, slot) ? null : 'does not expand'
  }

  #whyNotInData(place: Place): string | null {
    if (place.position + place.length > this.#extents.bytes) return 'behind the end of `data`'
    return this.#extents.has(place.position, place.length) ? null : 'a hole in `data`'
  }

  #whyNotInTier(zone: number, slot: number, { position, length }: Place): string | null {
    if (this.#tier === null) return 'it was in the tier, which is lost'
    if (slot === 0) return 'its zone has no slot in the tier'
    const at = slotAt(this.#layout, slot) + position - this.#layout.dataBase(zone)
    return this.#tier.has(at, length) ? null : 'it is not in the tier any more'
  }
}

/** Looks at everything. `salvage.damage` has grown afterwards. */
export function inspect(salvage: Salvage): Inspection {
  const { bytes, lost } = readTable(salvage)
  const inspector = new Inspector(salvage, tableIn(bytes, salvage.layout), lost)
  inspector.run()
  const { zones } = inspector
  findBadBlocks(salvage)
  const isZoneWhole = zones.every(zone => zone.lostZone === null && zone.lost.length === 0)
  const isMarked = zones.every(
    zone => zone.lostZone === null && zone.lost.every(lost => lost.isMarked),
  )
  return {
    directory: salvage.directory,
    isSnapshot: salvage.superblock.isSnapshot,
    isWhole: isZoneWhole && salvage.damage.length === 0,
    needsRepair: !isMarked || salvage.damage.length > 0,
    damage: salvage.damage,
    tier: salvage.tier?.path ?? null,
    isTierLost: salvage.tier !== null && salvage.tier.file === null,
    zones,
  }
}

function findBadBlocks(salvage: Salvage): void {
  for (let block = 0; block < salvage.layout.blockCount; block++) {
    if (salvage.isHole(block) || salvage.block(block).isWhole) continue
    const file = `${salvage.directory}/map`
    const what = `the checksum of block ${block} is wrong`
    salvage.damage.push({ file, offset: salvage.map.offsetOf(block), what })
  }
}
