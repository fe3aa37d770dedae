/**
 * The durable state: superblock, map and journal of one directory, read together and written in the order that survives.
 *
 * A checkpoint: blocks into `map` in place, sync; then a new journal aside, sync, rename, sync of the directory. Cut off
 * anywhere, either journal fits: the old one holds every block that may be torn in `map`, and replaying it twice changes nothing.
 */
import { ImageError } from './errors.js'
import type { ImageFile, ImageFiles } from './files.js'
import { Journal } from './journal.js'
import { StateLayout } from './layout.js'
import { CheckpointMap } from './map.js'
import {
  damaged,
  SUPERBLOCK_MAGIC,
  type Superblock,
  sealBlock,
  unsealBlock,
  writeAside,
} from './superblock.js'

/** A journal that is longer than this is merged into the map. */
export const JOURNAL_BYTES_MAX = 16 * 1024 * 1024

/** Opens a file of an image. Throws IMAGE_ERR_MISSING or IMAGE_ERR_IO. */
export function openImageFile(files: ImageFiles, directory: string, name: string): ImageFile {
  const path = `${directory}/${name}`
  try {
    return files.open(path, false)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const isMissing = code === 'ENOENT' || code === 'ENOTDIR'
    if (isMissing && name === 'superblock') {
      const message = `there is no image in ${directory}: it has no superblock`
      throw new ImageError('IMAGE_ERR_MISSING', message, { cause: error })
    }
    if (isMissing) {
      const message = `${path} is missing: bring it back from where it went, or zslab image repair ${directory}`
      throw new ImageError('IMAGE_ERR_MISSING', message, { cause: error })
    }
    throw ioError(path, error)
  }
}

export function ioError(path: string, error: unknown): ImageError {
  const { code, message } = error as NodeJS.ErrnoException
  return new ImageError('IMAGE_ERR_IO', `${path}: ${code ?? message}`, { cause: error })
}

export function readSuperblock(files: ImageFiles, directory: string): Superblock {
  const file = openImageFile(files, directory, 'superblock')
  try {
    return unsealBlock(file, SUPERBLOCK_MAGIC) as Superblock
  } finally {
    file.close()
  }
}

/** Write the superblock: when it is there, so is the image. */
export function writeSuperblock(
  files: ImageFiles,
  directory: string,
  superblock: Superblock,
): void {
  const bytes = sealBlock(SUPERBLOCK_MAGIC, superblock)
  writeAside(files, directory, 'superblock', bytes).close()
  files.syncDirectory(directory)
}

export class ImageStore {
  readonly superblock: Superblock
  readonly layout: StateLayout
  readonly map: CheckpointMap
  #journal: Journal
  /** The newest journal has its name, but the directory is not synced: after a power cut the old one could be there. */
  #isDirectoryStale = false

  /** @throws ImageError `IMAGE_ERR_MISSING`, `IMAGE_ERR_VERSION`, `IMAGE_ERR_DAMAGED`, `IMAGE_ERR_IO` */
  constructor(
    private readonly files: ImageFiles,
    readonly directory: string,
    private readonly journalBytesMax = JOURNAL_BYTES_MAX,
  ) {
    this.superblock = readSuperblock(files, directory)
    this.layout = new StateLayout(this.superblock.description)
    this.map = new CheckpointMap(openImageFile(files, directory, 'map'), this.layout)
    const file = openImageFile(files, directory, 'journal')
    this.#journal = new Journal(file, this.layout.blockCount)
    this.#checkFamily(file.path)
  }

  get journal(): Journal {
    return this.#journal
  }

  #checkFamily(journalPath: string): void {
    const { id } = this.superblock
    if (this.map.head.id !== id) damaged(`${this.directory}/map`, 0, 'it belongs to another image')
    if (this.#journal.head.id !== id) damaged(journalPath, 0, 'it belongs to another image')
    const { generation } = this.#journal.head
    const { generation: merged } = this.map.head
    if (generation === merged || generation === merged + 1) return
    damaged(journalPath, 0, `it is journal ${generation}, but the map has come to ${merged}`)
  }

  /** A block of the durable state: 4 KiB. Throws IMAGE_ERR_DAMAGED. */
  block(block: number): Uint8Array {
    const newest = this.#journal.blocks.get(block)
    if (newest !== undefined) return newest
    const { bytes, isWhole } = this.map.read(block)
    if (!isWhole) {
      const path = `${this.directory}/map`
      damaged(path, this.map.offsetOf(block), `the checksum of block ${block} is wrong`)
    }
    return bytes
  }

  /** Whether a block is zeros for certain. */
  isHole(block: number): boolean {
    return !this.#journal.blocks.has(block) && this.map.isHole(block)
  }

  /** Make blocks durable, all or none. Throws what the files throw; then nothing has changed, and it can be tried again. */
  append(blocks: ReadonlyMap<number, Uint8Array>): void {
    if (this.#isDirectoryStale) this.files.syncDirectory(this.directory)
    this.#isDirectoryStale = false
    if (blocks.size > 0) this.#journal.append(blocks)
  }

  get isJournalLong(): boolean {
    return this.#journal.end > this.journalBytesMax
  }

  /** Merge the journal into the map and begin a new one. Throws what the files throw; then the old one goes on. */
  checkpoint(): void {
    const { generation } = this.#journal.head
    this.map.update(this.#journal.blocks, generation)
    const head = Journal.newHead(this.superblock.id, generation + 1)
    const file = writeAside(this.files, this.directory, 'journal', head)
    this.#journal.close()
    this.#journal = new Journal(file, this.layout.blockCount)
    this.#isDirectoryStale = true
    this.files.syncDirectory(this.directory)
    this.#isDirectoryStale = false
  }

  close(): void {
    this.map.close()
    this.#journal.close()
  }
}
