/**
 * The kernel's numbers, under the kernel's names, so that a search for one finds both sides.
 *
 * Sources: include/uapi/linux/blkzoned.h (zone types and conditions, struct blk_zone), include/uapi/linux/ublk_cmd.h
 * (operations of a ublk request), asm-generic/errno*.h. Node knows only some of these errno values
 * (`os.constants.errno.ETOOMANYREFS` is undefined), and the model must not depend on the platform it runs on.
 */

/** The kernel's unit of address and length, whatever the block size is. */
export const SECTOR_BYTES = 512
export const SECTOR_SHIFT = 9

/** sizeof(struct blk_zone). */
export const BLK_ZONE_BYTES = 64

export const BLK_ZONE_TYPE_CONVENTIONAL = 0x1
export const BLK_ZONE_TYPE_SEQWRITE_REQ = 0x2

export const BLK_ZONE_COND_NOT_WP = 0x0
export const BLK_ZONE_COND_EMPTY = 0x1
export const BLK_ZONE_COND_IMP_OPEN = 0x2
export const BLK_ZONE_COND_EXP_OPEN = 0x3
export const BLK_ZONE_COND_CLOSED = 0x4
export const BLK_ZONE_COND_READONLY = 0xd
export const BLK_ZONE_COND_FULL = 0xe
export const BLK_ZONE_COND_OFFLINE = 0xf

/** One of the eight `BLK_ZONE_COND_*` values. */
export type ZoneCondition = 0x0 | 0x1 | 0x2 | 0x3 | 0x4 | 0xd | 0xe | 0xf

export const UBLK_IO_OP_READ = 0
export const UBLK_IO_OP_WRITE = 1
export const UBLK_IO_OP_FLUSH = 2
export const UBLK_IO_OP_DISCARD = 3
export const UBLK_IO_OP_WRITE_ZEROES = 5
export const UBLK_IO_OP_ZONE_OPEN = 10
export const UBLK_IO_OP_ZONE_CLOSE = 11
export const UBLK_IO_OP_ZONE_FINISH = 12
export const UBLK_IO_OP_ZONE_APPEND = 13
export const UBLK_IO_OP_ZONE_RESET_ALL = 14
export const UBLK_IO_OP_ZONE_RESET = 15
export const UBLK_IO_OP_REPORT_ZONES = 18

export const EPERM = 1
export const ENOENT = 2
export const EINTR = 4
export const EIO = 5
export const EBADF = 9
export const EAGAIN = 11
export const ENOMEM = 12
export const EACCES = 13
export const EFAULT = 14
export const EBUSY = 16
export const EEXIST = 17
export const ENODEV = 19
export const EINVAL = 22
export const EMFILE = 24
export const ENOTTY = 25
export const ENOSPC = 28
export const EROFS = 30
export const ENOSYS = 38
export const ENODATA = 61
export const ETIME = 62
export const EOVERFLOW = 75
export const EOPNOTSUPP = 95
export const ETOOMANYREFS = 109
export const ETIMEDOUT = 110
export const EREMOTEIO = 121

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries({
    EPERM,
    ENOENT,
    EINTR,
    EIO,
    EBADF,
    EAGAIN,
    ENOMEM,
    EACCES,
    EFAULT,
    EBUSY,
    EEXIST,
    ENODEV,
    EINVAL,
    EMFILE,
    ENOTTY,
    ENOSPC,
    EROFS,
    ENOSYS,
    ENODATA,
    ETIME,
    EOVERFLOW,
    EOPNOTSUPP,
    ETOOMANYREFS,
    ETIMEDOUT,
    EREMOTEIO,
  }).map(([name, value]) => [value, name]),
)

/** The name of an errno, given positive or negative; `ERRNO_n` for one that is not in the list above. */
export function errnoName(errno: number): string {
  const positive = Math.abs(errno)
  return ERRNO_NAMES.get(positive) ?? `ERRNO_${positive}`
}

const CONDITION_NAMES: ReadonlyMap<number, string> = new Map([
  [BLK_ZONE_COND_NOT_WP, 'not-wp'],
  [BLK_ZONE_COND_EMPTY, 'empty'],
  [BLK_ZONE_COND_IMP_OPEN, 'implicit-open'],
  [BLK_ZONE_COND_EXP_OPEN, 'explicit-open'],
  [BLK_ZONE_COND_CLOSED, 'closed'],
  [BLK_ZONE_COND_READONLY, 'read-only'],
  [BLK_ZONE_COND_FULL, 'full'],
  [BLK_ZONE_COND_OFFLINE, 'offline'],
])

/** What people and JSON call a condition: `empty`, `implicit-open`, … ; `reserved-n` for a value that is none. */
export function conditionName(condition: number): string {
  return CONDITION_NAMES.get(condition) ?? `reserved-${condition}`
}

/** The condition of that name, or `undefined`. The inverse of {@link conditionName}. */
export function conditionOfName(name: string): ZoneCondition | undefined {
  for (const [condition, known] of CONDITION_NAMES) {
    if (known === name) return condition as ZoneCondition
  }
  return undefined
}

/** The names of all eight conditions, in the order of their numbers. */
export const CONDITION_NAME_LIST: readonly string[] = [...CONDITION_NAMES.values()]
