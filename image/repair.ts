/**
 * Saves what can be saved of a damaged image, so that it can be used again and never gives wrong bytes for right ones.
 *
 * - A page that is lost cannot be read (EIO) until its zone is reset, or, in a conventional zone, until it is written.
 * - A zone of which nothing is known goes offline.
 * - An image whose tier is lost has none any more; one that was cut is as long again.
 * - A journal that is damaged is used up to there: the drive is as it was at that flush.
 * The new map and journal are written aside and renamed; cut off anywhere, the repair can be done again.
 */
import { offlineZone, readOnlyZone } from '../zone-model/index.js'
import { type ImageFile, NODE_FILES } from './files.js'
import { type Inspection, inspect, readTable } from './inspect.js'
import { Journal } from './journal.js'
import { BLOCK_BYTES, SECTORS_A_PAGE } from './layout.js'
import { dropLock, takeLock } from './lock.js'
import { CheckpointMap } from './map.js'
import { LOST_KIND, LOST_WORD_HIGH, LOST_WORD_LOW } from './places.js'
import { tableIn } from './restore.js'
import { Salvage } from './salvage.js'
import { ioError, writeSuperblock } from './store.js'
import { type Superblock, writeAside } from './superblock.js'
import { slotAt } from './tier.js'

/**
 * What of the image is whole and what is lost. Changes nothing.
 *
 * @throws ImageError when it cannot be looked at: `IMAGE_ERR_MISSING`, `IMAGE_ERR_VERSION`, `IMAGE_ERR_IN_USE`, or
 *   `IMAGE_ERR_DAMAGED` when neither superblock nor map say what it is
 */
export function checkImage(directory: string): Inspection {
  return withSalvage(directory, inspect)
}

/** Makes a damaged image usable. What was lost is in the result, as the check saw it before. Throws as checkImage(). */
export function repairImage(directory: string): Inspection {
  return withSalvage(directory, salvage => {
    const found = inspect(salvage)
    if (found.needsRepair) rewrite(salvage, found)
    return found
  })
}

function withSalvage<T>(directory: string, work: (salvage: Salvage) => T): T {
  // It is there before a lock is put beside it.
  new Salvage(directory).close()
  takeLock(directory)
  try {
    const salvage = new Salvage(directory)
    try {
      return work(salvage)
    } finally {
      salvage.close()
    }
  } finally {
    dropLock(directory)
  }
}

/** The state after the repair: block → contents. */
class Repaired {
  readonly blocks = new Map<number, Uint8Array>()

  constructor(private readonly salvage: Salvage) {}

  /** For changing. */
  #pagesBlock(offset: number): DataView {
    const number = this.salvage.layout.tableBlocks + Math.floor(offset / BLOCK_BYTES)
    const known = this.blocks.get(number)
    const bytes = known ?? new Uint8Array(this.salvage.block(number).bytes)
    if (known === undefined) {
      if (!this.salvage.block(number).isWhole) bytes.fill(0)
      this.blocks.set(number, bytes)
    }
    return new DataView(bytes.buffer, bytes.byteOffset, BLOCK_BYTES)
  }

  losePage(page: number): void {
    const { kindsAt, wordsAt } = this.salvage.layout
    this.#pagesBlock(kindsAt + page).setUint8((kindsAt + page) % BLOCK_BYTES, LOST_KIND)
    const at = wordsAt + page * 8
    this.#pagesBlock(at).setUint32(at % BLOCK_BYTES, LOST_WORD_LOW, true)
    this.#pagesBlock(at).setUint32((at % BLOCK_BYTES) + 4, LOST_WORD_HIGH, true)
  }
}

function rewrite(salvage: Salvage, found: Inspection): void {
  const { layout, directory } = salvage
  const superblock: Superblock = found.isTierLost
    ? { ...salvage.superblock, tier: null }
    : salvage.superblock
  const repaired = new Repaired(salvage)
  for (const { zone, lost } of found.zones) {
    for (const { offsetSectors, countSectors } of lost) {
      const first = zone * layout.pagesAZone + offsetSectors / SECTORS_A_PAGE
      for (let i = 0; i < countSectors / SECTORS_A_PAGE; i++) repaired.losePage(first + i)
    }
  }
  const { bytes } = readTable(salvage)
  const table = tableIn(bytes, layout)
  for (const { zone, lostZone } of found.zones) {
    if (lostZone === null) continue
    readOnlyZone(table, zone)
    offlineZone(table, zone)
  }
  for (let block = 0; block < layout.tableBlocks; block++)
    repaired.blocks.set(block, bytes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES))
  const generation = salvage.journal?.head.generation ?? salvage.map.head.generation + 1
  writeMap(salvage, superblock, repaired.blocks, generation)
  if (salvage.tier?.file != null && salvage.tier.why !== null)
    lengthen(salvage.tier.file, slotAt(layout, superblock.tier!.slotCount + 1))
  salvage.data.truncate(layout.dataBytes)
  salvage.data.sync()
  const head = Journal.newHead(superblock.id, generation + 1)
  NODE_FILES.rename(`${directory}/map.new`, `${directory}/map`)
  writeAside(NODE_FILES, directory, 'journal', head).close()
  NODE_FILES.syncDirectory(directory)
  writeSuperblock(NODE_FILES, directory, superblock)
}

/** A tier that was cut. A block device cannot be made longer. */
function lengthen(tier: ImageFile, bytes: number): void {
  try {
    tier.truncate(bytes)
    tier.sync()
  } catch (error) {
    throw ioError(tier.path, error)
  }
}

function writeMap(
  salvage: Salvage,
  superblock: Superblock,
  repaired: ReadonlyMap<number, Uint8Array>,
  generation: number,
): void {
  const { layout, directory } = salvage
  const file = NODE_FILES.open(`${directory}/map.new`, true)
  CheckpointMap.format(file, layout, { ...superblock, generation })
  const map = new CheckpointMap(file, layout)
  const blocks = new Map<number, Uint8Array>()
  for (let block = 0; block < layout.blockCount; block++) {
    const changed = repaired.get(block)
    if (changed !== undefined) blocks.set(block, changed)
    else if (!salvage.isHole(block)) {
      const { bytes, isWhole } = salvage.block(block)
      if (isWhole) blocks.set(block, bytes)
    }
  }
  map.update(blocks, generation)
  map.close()
}
