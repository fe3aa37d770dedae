/**
 * Errors of the store: classes with stable codes, and messages that say what to do next.
 */

/** Code → what it means and what to do. The README's table comes from it. */
export const STORE_ERRORS = {
  STORE_ERR_KEY: 'a key of 0 or more than 250 bytes, or one that is neither text nor bytes',
  STORE_ERR_VALUE:
    'a value longer than 64 MiB or than a zone of the device takes, or one that is neither text nor bytes',
  STORE_ERR_TTL: 'a time to live that is no number above 0, or too large',
  STORE_ERR_OPTION:
    'an option of `open`, or an argument; the message has its value and what is allowed',
  STORE_ERR_FULL:
    'no zone is free, and eviction is `noeviction`: delete objects, or wait until some expire',
  STORE_ERR_BUSY: 'a synchronous write while the device is behind: await `set` instead',
  STORE_ERR_NUMBER:
    '`increment` of a value that is no decimal integer, or to one that would be none',
  STORE_ERR_DEVICE:
    'the device failed, or cannot hold a store; the message says how. What was not flushed may be lost',
  STORE_ERR_FOREIGN:
    'the device holds data of somebody else; name another one, or erase it with `format`',
  STORE_ERR_DAMAGED:
    'an object is not found, and a page that may have held it cannot be read or is not what was written; set it again',
  STORE_ERR_CLOSED: 'the store has been closed: open it again',
} as const

export type StoreErrorCode = keyof typeof STORE_ERRORS

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
