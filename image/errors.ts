/**
 * Errors of images: stable codes, and messages that name the file, the byte offset where there is one, and what to do next.
 *
 * The table is the source of the README's error table. commit() never throws these: it gives -errno.
 */

/** Code → what it means and what to do. */
export const IMAGE_ERRORS = {
  IMAGE_ERR_MISSING:
    'there is no image in that directory, or one of its files is gone; the message names it',
  IMAGE_ERR_EXISTS:
    'the directory is not empty; choose another one, or delete what is in it for a new image',
  IMAGE_ERR_VERSION: 'a newer version of zslab made this image; use that version or a newer one',
  IMAGE_ERR_DAMAGED:
    'a file of the image is damaged; the message names it and the offset. `zslab image check DIR` says what is lost, `zslab image repair DIR` saves the rest',
  IMAGE_ERR_IN_USE:
    'another process uses the image; the message names it. Delete that device, or copy the image first',
  IMAGE_ERR_READ_ONLY: 'the image is a snapshot; make a copy of it with `zslab image clone`',
  IMAGE_ERR_TIER:
    'the tier of the image is missing, cut, or not its own any more; the message names it. Bring it back, or `zslab image repair DIR` gives up what was there',
  IMAGE_ERR_OPTION: 'the image was made for another device; the message names what differs',
  IMAGE_ERR_IO: 'reading or writing the image failed; the message names the file and the errno',
} as const

export type ImageErrorCode = keyof typeof IMAGE_ERRORS

/** What an image could not do. `code` is stable; the message is for people. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
  constructor(
    readonly code: ImageErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
