/**
 * Errors of opening a device: stable codes, and messages that name the file, the byte where there is one, and what to do
 * next. Once a device is open, what it refuses is a ZoneIoError.
 *
 * The table is the source of the README's error table.
 */

/** Code → what it means and what to do. */
export const DEVICE_ERRORS = {
  DEVICE_ERR_MISSING: 'there is nothing at that path; the message says what to give instead',
  DEVICE_ERR_NOT_ZONED:
    'the path is no zoned block device that can be used, and no drive in a directory; the message says why',
  DEVICE_ERR_BUSY: 'the device is mounted, or another program has it; the message says which',
  DEVICE_ERR_PERMISSION: 'the path may not be read or written; run with sudo, or change its owner',
  DEVICE_ERR_DAMAGED:
    'a file of the drive is damaged; the message names it and the byte. Bring the directory back from a copy, or make a new one',
  DEVICE_ERR_VERSION: 'a newer version of zslab made this drive; use that version or a newer one',
  DEVICE_ERR_OPTION:
    'an option is out of range, or the drive was made with another; the message names it',
  DEVICE_ERR_IO: 'reading or writing the drive failed; the message names the file and the errno',
} as const

export type DeviceErrorCode = keyof typeof DEVICE_ERRORS

/** A device that could not be opened or made. `code` is stable; the message is for people. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError'
  constructor(
    readonly code: DeviceErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** What Node's fs threw, as a DeviceError; one that is a DeviceError already stays what it is. */
export function fileError(path: string, error: unknown): DeviceError {
  if (error instanceof DeviceError) return error
  const { code = '', message } = error as NodeJS.ErrnoException
  const cause = { cause: error }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const why = `${path}: not allowed (${code}): run with sudo, or change its owner`
    return new DeviceError('DEVICE_ERR_PERMISSION', why, cause)
  }
  return new DeviceError('DEVICE_ERR_IO', `${path}: ${message}`, cause)
}
