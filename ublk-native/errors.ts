/**
 * Errors of system calls, in the shape that Node's own have: `syscall`, `errno` (negative), `code`.
 *
 * Native functions never throw for what the machine does: they return negative ints, and `check` makes the error, once.
 */
import { constants } from 'node:os'

/** Linux errno values that os.constants lacks, and that the block layer or io_uring gives. */
const LINUX_ERRNO: Readonly<Record<string, number>> = {
  ENOTBLK: 15,
  ENONET: 64,
  EREMOTE: 66,
  ENOLINK: 67,
  ECOMM: 70,
  EBADE: 52,
  EBADFD: 77,
  EUSERS: 87,
  ESHUTDOWN: 108,
  ETOOMANYREFS: 109,
  EHOSTDOWN: 112,
  EUCLEAN: 117,
  EREMOTEIO: 121,
  ENOMEDIUM: 123,
}

const NAMES = new Map<number, string>()
for (const [name, value] of Object.entries(constants.errno)) {
  // EAGAIN and EOPNOTSUPP are the names that Linux's own headers give first.
  if (name !== 'EWOULDBLOCK' && name !== 'ENOTSUP') NAMES.set(value, name)
}
if (process.platform === 'linux')
  for (const [name, value] of Object.entries(LINUX_ERRNO)) NAMES.set(value, name)

/** The name of an errno, of either sign: `errnoName(-16)` is 'EBUSY'. Unknown ones are 'E' and the number. */
export function errnoName(errno: number): string {
  const value = Math.abs(errno)
  return NAMES.get(value) ?? `E${value}`
}

/** A system call that failed. `code` is stable ('EBUSY'); `errno` is negative. */
export class UblkError extends Error {
  override readonly name = 'UblkError'

  constructor(
    readonly syscall: string,
    readonly errno: number,
    detail = '',
  ) {
    super(`${syscall} failed: ${errnoName(errno)}${detail === '' ? '' : ` (${detail})`}`)
  }

  get code(): string {
    return errnoName(this.errno)
  }
}

/** Give `result` back, or throw UblkError when it is a negative errno. */
export function check(syscall: string, result: number, detail = ''): number {
  if (result < 0) throw new UblkError(syscall, result, detail)
  return result
}
