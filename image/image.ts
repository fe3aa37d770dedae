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
import type { ImageDescription } from './description.js'
import { type ImageFiles, NODE_FILES } from './files.js'

export interface OpenOptions {
  /** Another thread of this process has the image open, and with it the lock. */
  readonly isLocked?: boolean
  /** For tests. */
  readonly files?: ImageFiles
}

export class Image {
  private constructor(
    readonly directory: string,
    readonly description: ImageDescription,
    private readonly files: ImageFiles,
  ) {}

  /**
   * Make an image: all zones empty. The directory is made, or is empty. Durable when it returns.
   *
   * @throws ImageError `IMAGE_ERR_EXISTS`, `IMAGE_ERR_IO`; ZoneModelError for a geometry that is none
   */
  static create(
    directory: string,
    description: ImageDescription,
    files: ImageFiles = NODE_FILES,
  ): void {
    throw new Error(`not built yet: ${directory} ${description.depth} ${files}`)
  }

  /**
   * Open an image and take its lock (a lock that a dead process left is taken over).
   *
   * @throws ImageError `IMAGE_ERR_MISSING`, `IMAGE_ERR_VERSION`, `IMAGE_ERR_DAMAGED`, `IMAGE_ERR_IN_USE`,
   *   `IMAGE_ERR_READ_ONLY`, `IMAGE_ERR_IO`
   */
  static open(directory: string, options: OpenOptions = {}): Image {
    return new Image(directory, {} as ImageDescription, options.files ?? NODE_FILES)
  }

  /**
   * Make the files `table`, `pages`, `dirty` and `flushing` in `stateDirectory` (which is there) as the drive is after a power
   * cut: what was durable, with the rules of ZNS for power loss applied. Nobody may have them open. Counters are kept.
   *
   * @throws ImageError `IMAGE_ERR_DAMAGED`, `IMAGE_ERR_IO`
   */
  restore(stateDirectory: string): void {
    this.files.between(stateDirectory)
  }

  /**
   * Use the working state in `stateDirectory`: after restore(), or as a killed process left it. Before the first commit().
   * `media` is this thread's own media of the same files; its owner closes it, after close().
   *
   * @throws ImageError `IMAGE_ERR_OPTION` when the files are of another size, `IMAGE_ERR_DAMAGED`, `IMAGE_ERR_IO`
   */
  attach(stateDirectory: string, media: NativeMedia): void {
    this.files.between(`${stateDirectory} ${media.bytes}`)
  }

  /**
   * One flush. Other threads may go on writing. The caller sees to it that every queue has begun a new batch since the
   * requests that this is to make durable were acknowledged, so that an entry of a current batch in the in-flight log is in
   * flight. A reset that was done (`resetZone` returned) before the call is durable after it.
   *
   * @returns 0, or -errno: then what was durable before still is, and the next commit() tries all of it again. An error of
   *   the sync of `data` stays: what the kernel could not write it has forgotten, so no later commit() can succeed.
   */
  commit(): number {
    this.files.between('commit')
    return 0
  }

  /** After a commit() that gave 0: give back memory of reset zones, more than `spareBytes` of the media. */
  afterCommit(): void {}

  /**
   * Let go of everything, and of the lock. `clean`: commit first; all workers have ended, and all that they were given was
   * acknowledged. Gives what commit() gave. Idempotent.
   */
  close(options: { clean: boolean }): number {
    return options.clean ? this.commit() : 0
  }
}
