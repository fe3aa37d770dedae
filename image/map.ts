/**
 * The checkpoint: the file `map` holds every block of the state as it was when a journal was full.
 *
 *   head, 4 KiB (id, generation, description) │ a CRC32 for each block, filled up to 4 KiB │ the blocks
 *
 * Blocks are overwritten in place. That is safe because the journal that holds their new contents is kept until `map` has been
 * synced: whatever is torn is covered by it, and blocks that it covers are not read from here. The file is sparse: the CRC is
 * stored so that a hole, block and CRC, is a valid block of zeros.
 */
import { crc32 } from 'node:zlib'
import type { ImageFile } from './files.js'
import { BLOCK_BYTES, type StateLayout } from './layout.js'
import { damaged, MAP_MAGIC, type Superblock, sealBlock, unsealBlock } from './superblock.js'

/** XORed to every CRC, so that that of a block of zeros is 0. */
const CRC_OF_ZEROS = crc32(new Uint8Array(BLOCK_BYTES))

export function crcOf(block: Uint8Array): number {
  return (crc32(block) ^ CRC_OF_ZEROS) >>> 0
}

export interface MapHead extends Superblock {
  /** All blocks of the journal of this generation are in the map; that journal, or the next one, is beside it. */
  readonly generation: number
}

export class CheckpointMap {
  readonly head: MapHead
  readonly #file: ImageFile
  readonly #crcs: Uint32Array
  readonly #blocksAt: number

  /** @throws ImageError `IMAGE_ERR_DAMAGED`, `IMAGE_ERR_VERSION` */
  constructor(
    file: ImageFile,
    readonly layout: StateLayout,
  ) {
    this.#file = file
    this.head = unsealBlock(file, MAP_MAGIC) as MapHead
    const crcBytes = new Uint8Array(crcArea(layout))
    const length = file.read(BLOCK_BYTES, crcBytes)
    if (length < crcBytes.length) damaged(file.path, BLOCK_BYTES + length, 'it has been cut')
    this.#crcs = new Uint32Array(crcBytes.buffer)
    this.#blocksAt = BLOCK_BYTES + crcBytes.length
    const last = new Uint8Array(1)
    if (file.read(mapBytes(layout) - 1, last) < 1)
      damaged(file.path, mapBytes(layout), 'it has been cut')
  }

  /** Makes an empty one: all blocks are zeros. Not synced. */
  static format(file: ImageFile, layout: StateLayout, head: MapHead): void {
    file.truncate(mapBytes(layout))
    file.write(0, sealBlock(MAP_MAGIC, head))
  }

  /** Another superblock for the same blocks. Durable when it returns. */
  rename(superblock: Superblock): void {
    this.#file.write(0, sealBlock(MAP_MAGIC, { ...this.head, ...superblock }))
    this.#file.sync()
  }

  offsetOf(block: number): number {
    return this.#blocksAt + block * BLOCK_BYTES
  }

  /** Whether a block was never written: zeros. */
  isHole(block: number): boolean {
    return this.#crcs[block] === 0
  }

  /** A block, and whether it is what was written. */
  read(block: number): { bytes: Uint8Array; isWhole: boolean } {
    const bytes = new Uint8Array(BLOCK_BYTES)
    if (this.isHole(block)) return { bytes, isWhole: true }
    this.#file.read(this.offsetOf(block), bytes)
    return { bytes, isWhole: crcOf(bytes) === this.#crcs[block] }
  }

  /** Write blocks, which the journal of `generation` holds, in place; durable when it returns. */
  update(blocks: ReadonlyMap<number, Uint8Array>, generation: number): void {
    const parts = new Set<number>()
    for (const [block, bytes] of blocks) {
      this.#file.write(this.offsetOf(block), bytes)
      this.#crcs[block] = crcOf(bytes)
      parts.add(Math.floor((block * 4) / BLOCK_BYTES))
    }
    const crcs = new Uint8Array(this.#crcs.buffer)
    for (const part of parts) {
      const at = part * BLOCK_BYTES
      this.#file.write(BLOCK_BYTES + at, crcs.subarray(at, at + BLOCK_BYTES))
    }
    this.#file.write(0, sealBlock(MAP_MAGIC, { ...this.head, generation }))
    this.#file.sync()
  }

  close(): void {
    this.#file.close()
  }
}

function crcArea(layout: StateLayout): number {
  return Math.ceil((layout.blockCount * 4) / BLOCK_BYTES) * BLOCK_BYTES
}

function mapBytes(layout: StateLayout): number {
  return BLOCK_BYTES + crcArea(layout) + layout.blockCount * BLOCK_BYTES
}
