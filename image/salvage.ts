/**
 * Reading an image that may be damaged: what can be read of it, and a list of what cannot.
 *
 * The state is that of the newest commit of which everything before is whole. A journal with a damaged record ends there: later
 * records would be newer than what they build on.
 */
import { ImageError } from './errors.js'
import { type ImageFile, NODE_FILES } from './files.js'
import { Journal } from './journal.js'
import { BLOCK_BYTES, StateLayout } from './layout.js'
import { CheckpointMap } from './map.js'
import { SlotMap } from './places.js'
import { openImageFile, readSuperblock } from './store.js'
import { MAP_MAGIC, type Superblock, unsealBlock } from './superblock.js'
import { type FoundTier, findTier } from './tier.js'

/** Damage of a file as a whole. */
export interface FileDamage {
  readonly file: string
  readonly offset: number
  readonly what: string
}

export class Salvage {
  readonly superblock: Superblock
  readonly layout: StateLayout
  readonly map: CheckpointMap
  /** null: it is lost, and with it what was flushed since the last checkpoint. */
  readonly journal: Journal | null
  readonly data: ImageFile
  /** null: the image has none. */
  readonly tier: FoundTier | null
  readonly damage: FileDamage[] = []

  /** @throws ImageError when there is nothing to go by: no superblock and no map, or a newer version */
  constructor(readonly directory: string) {
    const map = openImageFile(NODE_FILES, directory, 'map')
    this.superblock =
      this.attempt('superblock', () => readSuperblock(NODE_FILES, directory)) ??
      (unsealBlock(map, MAP_MAGIC) as Superblock)
    this.layout = new StateLayout(this.superblock.description)
    this.map = new CheckpointMap(map, this.layout)
    this.journal = this.attempt('journal', () => {
      const file = openImageFile(NODE_FILES, directory, 'journal')
      return new Journal(file, this.layout.blockCount)
    })
    this.checkJournal()
    this.data = openImageFile(NODE_FILES, directory, 'data')
    this.tier = findTier(NODE_FILES, directory, this.superblock, this.layout)
    if (this.tier !== null && this.tier.why !== null)
      this.damage.push({ file: this.tier.path, offset: 0, what: `the tier ${this.tier.why}` })
  }

  private attempt<T>(file: string, read: () => T): T | null {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof ImageError) || error.code === 'IMAGE_ERR_VERSION') throw error
      const offset = Number(/: byte (\d+):/.exec(error.message)?.[1] ?? 0)
      const what = error.message.replace(/^.*: byte \d+: /, '').replace(/: zslab image .*$/, '')
      this.damage.push({ file: `${this.directory}/${file}`, offset, what })
      return null
    }
  }

  private checkJournal(): void {
    const { journal } = this
    if (journal?.damageAt == null) return
    const what = `record ${journal.records} is damaged; the valid ones behind it cannot be used`
    this.damage.push({ file: journal.path, offset: journal.damageAt, what })
  }

  /** A block of the state; zeros and false where it is damaged. */
  block(block: number): { bytes: Uint8Array; isWhole: boolean } {
    const newest = this.journal?.blocks.get(block)
    return newest === undefined ? this.map.read(block) : { bytes: newest, isWhole: true }
  }

  /** Whether a block is zeros for certain. */
  isHole(block: number): boolean {
    return this.journal?.blocks.has(block) !== true && this.map.isHole(block)
  }

  /** The slots of the tier that zones have; those of damaged blocks are not known. */
  slots(): SlotMap {
    const { kindsAt, tableBlocks } = this.layout
    const head = new Uint8Array(Math.ceil(kindsAt / BLOCK_BYTES) * BLOCK_BYTES)
    for (let at = 0; at < head.length; at += BLOCK_BYTES)
      head.set(this.block(tableBlocks + at / BLOCK_BYTES).bytes, at)
    return new SlotMap(head.buffer, this.layout, this.superblock.tier?.slotCount ?? 0)
  }

  close(): void {
    this.tier?.file?.close()
    this.map.close()
    this.journal?.close()
    this.data.close()
  }
}
