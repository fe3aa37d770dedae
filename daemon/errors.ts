/**
 * Errors of the daemon and its client: stable codes, and messages that say what to do next.
 *
 * The table is the source of the README's error table (a test compares them).
 */

/** Code → what it means and what to do. */
export const DAEMON_ERRORS = {
  DAEMON_ERR_OPTION: 'an option is unknown or out of range; the message names the allowed range',
  DAEMON_ERR_NOT_RUNNING:
    'no daemon answers on the control socket; `zslab device create` starts one',
  DAEMON_ERR_ALREADY_RUNNING:
    'another daemon serves this control socket; use it, or give another with --socket',
  DAEMON_ERR_PERMISSION:
    'ublk needs root (CAP_SYS_ADMIN); run with sudo, or in a VM with `zslab vm`',
  DAEMON_ERR_NO_UBLK:
    'the kernel has no ublk; `modprobe ublk_drv`, or `zslab doctor` for other ways',
  DAEMON_ERR_KERNEL:
    'this kernel lacks zoned ublk, or is known to crash when a ublk device is added',
  DAEMON_ERR_NO_DEVICE: 'there is no such device; `zslab device list` shows those that are',
  DAEMON_ERR_DEVICE_EXISTS: 'a device with that number is there already; choose another --id',
  DAEMON_ERR_BUSY: 'the device is mounted or held; unmount it first, or use --force',
  DAEMON_ERR_NOT_ORPHAN: 'the device has a living daemon; there is nothing to recover',
  DAEMON_ERR_NOT_RECOVERABLE:
    'the device was made with --no-recovery, or its state is gone; delete it',
  DAEMON_ERR_TIER:
    'the tier cannot be used: the message says why (in use, not empty, too small, gone)',
  DAEMON_ERR_RESOURCES:
    'the system ran out of memory, space or file descriptors; the message says of which',
  DAEMON_ERR_ZONE: 'a zone command was refused; `zslab explain` says by which rule',
  DAEMON_ERR_IMAGE:
    'the image cannot be used; the message begins with the code that says why (IMAGE_ERR_...)',
  DAEMON_ERR_TRACE: 'the device is being recorded already, or no more; the message says which',
  DAEMON_ERR_NOT_ZONED: 'the path is no zoned block device that can be used; the message says why',
  DAEMON_ERR_REQUEST: 'the request on the control socket is malformed or its verb is unknown',
  DAEMON_ERR_KERNEL_CALL: 'a call into the kernel failed; the message names the call and the errno',
} as const

export type DaemonErrorCode = keyof typeof DAEMON_ERRORS

/** An operation that could not be done. `code` is stable; the message is for people. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError'
  constructor(
    readonly code: DaemonErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
