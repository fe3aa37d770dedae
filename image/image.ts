/**
 * An image: a drive in a directory, which outlives a power cut.
 *
 * The working state of a device stays in shared memory (`table`, `pages`), where SIGKILL leaves it whole. DIR holds the bytes
 * (`data`), and of `table` and `pages` what was durable at the last flush: a checkpoint (`map`) and a redo journal (`journal`).
 *
 *   a new image          Image.create(dir, description)
 *   start, power cut     image = Image.open(dir); image.restore(stateDirectory); openMedia({ directory: stateDirectory,
 *                        dataDirectory: dir, create: false, … }); workers
 *   after SIGKILL        the files in stateDirectory are whole: no restore(), the rest as above
 *   flusher thread       image = Image.open(dir, { isLocked: true }); image.attach(stateDirectory, media)
 *                        a flush: image.commit(); tell who waits; image.afterCommit()
 *   clean stop           when the workers have ended: image.close({ clean: true })
 *
 * Guarantees: when commit() gives 0, all that was acknowledged before it was called is in DIR; a power cut at any moment, with
 * any part of what was not synced lost or torn, leaves an image that opens and restores to that state or a later one. One
 * process at a time uses an image.
 */
import type { NativeMedia } from '../ublk-native/index.js'
import { BLK_ZONE_COND_EMPTY, conditionOf, type PowerLoss } from '../zone-model/index.js'
import { createImage } from './create.js'
import type { ImageDescription } from './description.js'
import { ImageError } from './errors.js'
import { type ImageFile, type ImageFiles, NODE_FILES } from './files.js'
import { dropLock, takeLock } from './lock.js'
import { durableTable, restoreState, tableIn } from './restore.js'
import { ImageStore, ioError, openImageFile, readSuperblock } from './store.js'
import { damaged } from './superblock.js'
import { type ImageTier, openTier, type TierChoice, tierPath } from './tier.js'
import { WorkingState } from './working-state.js'

export interface OpenOptions {
  /** Another thread of this process has the image open, and with it the lock. */
  readonly isLocked?: boolean
  /** For tests. */
  readonly files?: ImageFiles
  /** For tests: a journal that is longer is merged into the map. */
  readonly journalBytesMax?: number
}

/** What a file threw, as -errno. Anything else is a bug, and goes on. */
function asErrno(error: unknown): number {
  const { errno } = error as { errno?: number }
  if (typeof errno === 'number' && errno < 0) return errno
  throw error
}

export class Image {
  readonly description: ImageDescription
  readonly #store: ImageStore
  readonly #data: ImageFile
  readonly #tier: ImageFile | null
  readonly #files: ImageFiles
  readonly #hasLock: boolean
  #state: WorkingState | null = null
  #media: NativeMedia | null = null
  /** What the sync of `data`, or of the tier, has failed with. */
  #lost = 0
  #isOpen = true

  private constructor(
    readonly directory: string,
    options: OpenOptions,
  ) {
    this.#files = options.files ?? NODE_FILES
    this.#hasLock = options.isLocked !== true
    this.#store = new ImageStore(this.#files, directory, options.journalBytesMax)
    this.description = this.#store.superblock.description
    this.#data = openImageFile(this.#files, directory, 'data')
    this.#checkData()
    this.#tier = openTier(this.#files, directory, this.#store.superblock, this.#store.layout)
  }

  /**
   * Make an image: all zones empty. The directory is made, or is empty. Durable when it returns. `tier` is overwritten.
   *
   * @throws ImageError `IMAGE_ERR_EXISTS`, `IMAGE_ERR_OPTION` (the description does not fit into 4 KiB, or the table is too
   *   small), `IMAGE_ERR_IO`; ZoneModelError for a geometry that is none
   */
  static create(
    directory: string,
    description: ImageDescription,
    files: ImageFiles = NODE_FILES,
    tier: TierChoice | null = null,
  ): void {
    createImage(directory, description, files, tier)
  }

  /**
   * Open an image and take its lock (a lock that a dead process left is taken over).
   *
   * @throws ImageError `IMAGE_ERR_MISSING`, `IMAGE_ERR_VERSION`, `IMAGE_ERR_DAMAGED`, `IMAGE_ERR_IN_USE`,
   *   `IMAGE_ERR_READ_ONLY`, `IMAGE_ERR_TIER`, `IMAGE_ERR_IO`
   */
  static open(directory: string, options: OpenOptions = {}): Image {
    const { isSnapshot } = readSuperblock(options.files ?? NODE_FILES, directory)
    if (isSnapshot) {
      const message = `${directory} is a snapshot, which stays as it is: zslab image clone ${directory} TARGET, and use that`
      throw new ImageError('IMAGE_ERR_READ_ONLY', message)
    }
    const hasLock = options.isLocked !== true
    if (hasLock) takeLock(directory)
    try {
      return new Image(directory, options)
    } catch (error) {
      if (hasLock) dropLock(directory)
      throw error
    }
  }

  /** Where cold pages go; null: nowhere. */
  get tier(): ImageTier | null {
    const { tier } = this.#store.superblock
    return tier == null ? null : { path: tierPath(this.directory, tier), slotCount: tier.slotCount }
  }

  #checkData(): void {
    const { dataBytes } = this.#store.layout
    const last = new Uint8Array(1)
    if (this.#data.read(dataBytes - 1, last) === 1 && this.#data.read(dataBytes, last) === 0) return
    damaged(this.#data.path, dataBytes, 'it has been cut or grown: it should end here')
  }

  /**
   * Make the files `table`, `pages`, `dirty` and `flushing` in `stateDirectory` (which is there) as the drive is after a power
   * cut: what was durable, with the rules of ZNS for power loss applied. Nobody may have them open. Counters are kept.
   *
   * @returns what the power cut did to the zones
   * @throws ImageError `IMAGE_ERR_DAMAGED`, `IMAGE_ERR_IO`
   */
  restore(stateDirectory: string): PowerLoss {
    try {
      return restoreState(this.#store, this.#data, this.#tier, stateDirectory)
    } catch (error) {
      throw error instanceof Error && 'syscall' in error ? ioError(stateDirectory, error) : error
    }
  }

  /**
   * Use the working state in `stateDirectory`: after restore(), or as a killed process left it. Before the first commit().
   * `media` is this thread's own media of the same files; its owner closes it, after close().
   *
   * @throws ImageError `IMAGE_ERR_DAMAGED`; UblkError EINVAL when the files are of another size, ENOENT
   */
  attach(stateDirectory: string, media: NativeMedia): void {
    this.#store.journal.refuseDamage()
    const committed = durableTable(this.#store)
    const { layout } = this.#store
    const between = (step: string): void => this.#files.between(step)
    this.#state = new WorkingState(layout, stateDirectory, committed, between)
    this.#media = media
  }

  /**
   * One flush. Other threads may go on writing. The caller sees to it that every queue has begun a new batch since the
   * requests that this is to make durable were acknowledged, so that an entry of a current batch in the in-flight log is in
   * flight. A reset that was done (`resetZone` returned) before the call is durable after it.
   *
   * @returns 0, or -errno: then what was durable before still is, and the next commit() tries all of it again. An error of
   *   the sync of `data` or the tier stays: what the kernel could not write it has forgotten, so no later commit() can succeed.
   */
  commit(): number {
    return this.#commit(false)
  }

  #commit(isQuiet: boolean): number {
    const state = this.#state
    if (state === null) throw new Error('attach() comes before commit()')
    if (this.#lost !== 0) return this.#lost
    const blocks = state.copy(isQuiet)
    this.#files.between('copied')
    try {
      this.#data.sync()
      if (state.hasTiered) this.#tier?.sync()
    } catch (error) {
      state.giveBack()
      this.#lost = asErrno(error)
      return this.#lost
    }
    try {
      this.#store.append(blocks)
    } catch (error) {
      state.giveBack()
      return asErrno(error)
    }
    state.settle()
    this.#checkpointIfLong()
    return 0
  }

  /** What was committed is durable with or without it: a checkpoint that fails is tried again by the next commit. */
  #checkpointIfLong(): void {
    if (!this.#store.isJournalLong) return
    try {
      this.#store.checkpoint()
    } catch (error) {
      asErrno(error)
    }
  }

  /**
   * After a commit() that gave 0: give back memory of reset zones, but for `spareBytes` in all (what is kept is not there for
   * other zones, even when the disk is full). Only of zones that the commit has made empty for good; until then the old bytes
   * had to stay.
   */
  afterCommit(spareBytes = 0): void {
    const { layout } = this.#store
    const state = this.#state!
    const table = tableIn(state.committedTable, layout)
    let kept = 0
    for (let zone = layout.geometry.conventionalCount; zone < table.zoneCount; zone++) {
      const spare = state.spareBytes(zone)
      if (spare === 0 || conditionOf(table.load(zone)) !== BLK_ZONE_COND_EMPTY) continue
      if (kept + spare <= spareBytes) kept += spare
      else this.#media!.trim(zone * layout.geometry.zoneSizeBytes, layout.geometry.zoneSizeBytes)
    }
  }

  /**
   * Let go of everything, and of the lock. `clean`: commit first; all workers have ended, and all that they were given was
   * acknowledged; then nothing is kept of reset zones. Gives what commit() gave. Idempotent.
   */
  close(options: { clean: boolean }): number {
    if (!this.#isOpen) return 0
    const isSaved = options.clean && this.#state !== null
    const result = isSaved ? this.#commit(true) : 0
    if (isSaved && result === 0) this.afterCommit()
    this.#isOpen = false
    this.#state?.close()
    this.#state = null
    this.#store.close()
    this.#data.close()
    this.#tier?.close()
    if (this.#hasLock) dropLock(this.directory)
    return result
  }
}
