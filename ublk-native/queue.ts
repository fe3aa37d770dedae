/**
 * One ublk queue: its descriptors, its ring, and the one call that its worker lives in. docs/BOUNDARY.md is the contract.
 *
 * The ring belongs to the thread that opens the queue: open it on the worker's own thread, and call it from no other.
 */
import { addon, type NativeOutcome, type NativeQueue } from './addon.js'
import { UblkError } from './errors.js'
import type { NativeMedia } from './media.js'

/** What the addon opens (addon.ts has its members), and how many tags it has. */
export interface Queue extends NativeQueue {
  readonly depth: number
}

export interface QueueOptions {
  /** A descriptor of /dev/ublkcN. */
  charFd: number
  queueId: number
  depth: number
  maxIoBytes: number
  media: NativeMedia
  /** The shared table, as words. */
  marks: Int32Array
  /** Where in `marks` the 8 bytes of each parity's mark are, in bytes from its start; multiples of 8. */
  markByteOffsets: readonly [number, number]
  /** The device has UBLK_F_SUPPORT_ZERO_COPY: reads of raw pages in the tier are not copied. */
  lends?: boolean
  /**
   * For tests and benches, without a kernel that has ublk: `charFd` is a file, payloads are at
   * userCopyBase + (tag << 25) in it, and `descriptorsFd` is a file of `depth` descriptors. A fetch or commit is a no-op of
   * the ring whose answer is in the tag's descriptor: op 0xffffffff keeps the tag in the kernel, 0xfffffffe gives it back for
   * good (-ENODEV), 0xfffffffd refuses it (-EINVAL), any other delivers it. A commit leaves its result in word 4 and its LBA's
   * low word in word 5.
   */
  fake?: { descriptorsFd: number; userCopyBase: number }
}

/** From the kernel's header: where user copies of requests begin. */
const UBLKSRV_IO_BUF_OFFSET = 0x80000000

/** Throws UblkError: EPERM or ENOSYS (io_uring is switched off), ENOMEM, what mmap of the char device says. */
export function openQueue(options: QueueOptions): Queue {
  const { media, fake } = options
  const opened = addon().openQueue(
    options.charFd,
    options.queueId,
    options.depth,
    options.maxIoBytes,
    (media as NativeMedia & { handle: unknown }).handle,
    options.marks,
    options.markByteOffsets[0],
    options.markByteOffsets[1],
    fake?.userCopyBase ?? UBLKSRV_IO_BUF_OFFSET,
    fake?.descriptorsFd ?? -1,
    options.lends ?? false,
  )
  if (isOutcome(opened)) {
    throw new UblkError(opened.syscall, opened.result, `ublk queue ${options.queueId}`)
  }
  return Object.assign(opened, { depth: options.depth })
}

function isOutcome(value: NativeQueue | NativeOutcome): value is NativeOutcome {
  return 'result' in value
}
