/**
 * The tier of an image: the file or block device that its cold pages go to, and the head by which the two know each other.
 *
 *   head, 4 KiB (as the superblock, with a magic of its own) │ nothing, up to 1 MiB │ slot 1 │ slot 2 │ …
 *
 * The superblock names the tier and its id; the head has that id, that of the image, and how the slots lie. So a tier that is
 * missing, of another image, or that somebody else has begun to use, is refused before a page is read from it. What is in the
 * slots only the page map says. A device in memory gives its tier no head.
 */
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { ImageError } from './errors.js'
import { type ImageFile, type ImageFiles, NODE_FILES } from './files.js'
import { BLOCK_BYTES, type StateLayout } from './layout.js'
import { ioError } from './store.js'
import { type Superblock, sealBlock, type TierEntry, unsealBlock } from './superblock.js'

const TIER_MAGIC = 'ZSLABTIR'

/** Where the first slot begins. */
export const TIER_HEAD_BYTES = 1024 * 1024

/** What an image is to have as its tier. */
export interface TierChoice {
  /** Absolute: it is there, and all of it may be overwritten. A bare name: a file that is made in the image's folder. */
  readonly path: string
  readonly slotCount: number
}

/** A tier, found. */
export interface ImageTier {
  readonly path: string
  readonly slotCount: number
}

interface TierHead {
  readonly id: string
  readonly imageId: string
  readonly slotBytes: number
  readonly slotCount: number
  /** Where the image was then: for people. */
  readonly directory: string
}

/** Where the tier of the image in `directory` is. */
export function tierPath(directory: string, { path }: TierEntry): string {
  return resolve(directory, path)
}

/** Where the bytes of slot `slot` (from 1) begin. */
export function slotAt(layout: StateLayout, slot: number): number {
  return TIER_HEAD_BYTES + (slot - 1) * layout.strideBytes
}

export function newTierEntry({ path, slotCount }: TierChoice): TierEntry {
  return { path, id: randomBytes(16).toString('hex'), slotCount }
}

/**
 * Makes it the tier of the image that the superblock is of. `isNew`: its file is not there. Durable when it returns. Throws what the
 * files throw.
 */
export function writeTierHead(
  files: ImageFiles,
  directory: string,
  { id: imageId, tier }: Superblock,
  layout: StateLayout,
  isNew: boolean,
): void {
  const { id, slotCount } = tier!
  const file = files.open(tierPath(directory, tier!), isNew)
  const slotBytes = layout.strideBytes
  const head: TierHead = { id, imageId, slotBytes, slotCount, directory: resolve(directory) }
  try {
    if (isNew) file.truncate(slotAt(layout, slotCount + 1))
    file.write(0, sealBlock(TIER_MAGIC, head))
    file.sync()
  } finally {
    file.close()
  }
}

/** A tier as it was found. */
export interface FoundTier {
  readonly path: string
  /** Open; null: it is not there, or not this image's. */
  readonly file: ImageFile | null
  /** What is wrong with it; null: nothing. */
  readonly why: string | null
}

/** What keeps a file from being this image's tier; null: nothing. Throws IMAGE_ERR_VERSION. */
function whyForeign(
  file: ImageFile,
  { id, tier }: Superblock,
  { strideBytes }: StateLayout,
): string | null {
  try {
    const head = unsealBlock(file, TIER_MAGIC) as TierHead
    if (head.id !== tier!.id || head.imageId !== id)
      return `belongs to another image, that in ${head.directory}`
    const isSame = head.slotBytes === strideBytes && head.slotCount === tier!.slotCount
    return isSame ? null : 'is divided in another way'
  } catch (error) {
    if (!(error instanceof ImageError) || error.code === 'IMAGE_ERR_VERSION') throw error
    const what = error.message.replace(/^.*?: byte \d+: /, '').replace(/: zslab image .*$/, '')
    return `has no head of a tier: ${what}`
  }
}

/** Looks for the tier of an image; null when it has none. Throws IMAGE_ERR_VERSION, IMAGE_ERR_IO. */
export function findTier(
  files: ImageFiles,
  directory: string,
  superblock: Superblock,
  layout: StateLayout,
): FoundTier | null {
  const { tier } = superblock
  // An image made before tiers were known has no such entry.
  if (tier == null) return null
  const path = tierPath(directory, tier)
  let file: ImageFile
  try {
    file = files.open(path, false)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ENXIO') throw ioError(path, error)
    return { path, file: null, why: 'is missing' }
  }
  try {
    const why = whyForeign(file, superblock, layout)
    if (why !== null) {
      file.close()
      return { path, file: null, why }
    }
    const end = slotAt(layout, tier.slotCount + 1)
    const isCut = file.read(end - 1, new Uint8Array(1)) === 0
    return { path, file, why: isCut ? `has been cut: it should have ${end} bytes` : null }
  } catch (error) {
    file.close()
    throw error
  }
}

/**
 * Opens the tier of an image; null when it has none.
 *
 * @throws ImageError `IMAGE_ERR_TIER` (missing, another's, cut), `IMAGE_ERR_VERSION`, `IMAGE_ERR_IO`
 */
export function openTier(
  files: ImageFiles,
  directory: string,
  superblock: Superblock,
  layout: StateLayout,
): ImageFile | null {
  const found = findTier(files, directory, superblock, layout)
  if (found === null) return null
  if (found.why === null) return found.file
  found.file?.close()
  const message = `${found.path}, the tier of ${directory}, ${found.why}: bring it back as it was; or zslab image repair ${directory} gives up what was there`
  throw new ImageError('IMAGE_ERR_TIER', message)
}

/** Where the image is, or was, that a file or block device is the tier of; null: none that this version can read. */
export function imageOfTier(path: string): string | null {
  try {
    const file = NODE_FILES.open(path, false)
    try {
      return (unsealBlock(file, TIER_MAGIC) as TierHead).directory
    } finally {
      file.close()
    }
  } catch {
    return null
  }
}

/** Takes the head away: whatever it was the tier of, it is no more. Durable when it returns. Throws what Node's fs throws. */
export function eraseTierHead(path: string): void {
  const file = NODE_FILES.open(path, false)
  try {
    file.write(0, new Uint8Array(BLOCK_BYTES))
    file.sync()
  } finally {
    file.close()
  }
}
