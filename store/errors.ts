/**
 * Errors of the store: classes with stable codes, and messages that say what to do next.
 */

export type StoreErrorCode =
  /** A key of 0 or more than 250 bytes. */
  | 'STORE_ERR_KEY'
  /** A value longer than the store, or a zone of its device, takes. */
  | 'STORE_ERR_VALUE'
  /** A TTL that is no number above 0, or too large. */
  | 'STORE_ERR_TTL'
  /** An option of `open`, named with its value and what is allowed. */
  | 'STORE_ERR_OPTION'
  /** `noeviction` and no room. */
  | 'STORE_ERR_FULL'
  /** A synchronous write while the device is behind: `set` waits instead. */
  | 'STORE_ERR_BUSY'
  /** The value is no number, or would be none: `increment`. */
  | 'STORE_ERR_NUMBER'
  /** The device failed. */
  | 'STORE_ERR_DEVICE'
  /** The device holds data of somebody else. */
  | 'STORE_ERR_FOREIGN'
  /** A page does not have the checksum that it says. */
  | 'STORE_ERR_DAMAGED'
  | 'STORE_ERR_CLOSED'

export class StoreError extends Error {
  override readonly name = 'StoreError'

  constructor(
    readonly code: StoreErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options)
  }
}
