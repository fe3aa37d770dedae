/**
 * Drives that survive: an image is a directory that holds a drive, through clean stops, SIGKILL and power cuts.
 *
 * Goals: after a power cut every flushed byte and every acknowledged reset is there, and nothing that was never written; damage
 * is found and named, never served as data that it is not; what can be saved of a damaged image is saved.
 * Non-goals: checksums of the data itself (a disk has its own), several users of one image, deciding when to flush.
 */

export { copyImage, type ImageCopy } from './copy.js'
export type { ImageDescription } from './description.js'
export { IMAGE_ERRORS, ImageError, type ImageErrorCode } from './errors.js'
export { type ImageFile, type ImageFiles, NODE_FILES } from './files.js'
export { Image, type OpenOptions } from './image.js'
export type { Inspection, LostPages, ZoneInspection } from './inspect.js'
export { slotBytesOf } from './layout.js'
export { checkImage, repairImage } from './repair.js'
export type { FileDamage } from './salvage.js'
export {
  eraseTierHead,
  type ImageTier,
  imageOfTier,
  TIER_HEAD_BYTES,
  type TierChoice,
} from './tier.js'
