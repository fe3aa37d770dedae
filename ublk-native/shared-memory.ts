/**
 * Memory that outlives the process (files in shared memory), and what keeps the process itself in memory.
 */
import { addon, type NativeOutcome } from './addon.js'
import { check, UblkError } from './errors.js'

/**
 * Map a file as an ArrayBuffer whose stores other threads and later processes see. `create` makes it, zeroed, with its memory
 * reserved; else it must have exactly `bytes`. It stays mapped until unmapShared() or until nothing refers to it.
 * Throws UblkError: ENOENT, EINVAL (another size), ENOSPC, EACCES.
 */
export function mapShared(path: string, bytes: number, create: boolean): ArrayBuffer {
  const mapped: ArrayBuffer | NativeOutcome = addon().mapShared(path, bytes, create)
  if (mapped instanceof ArrayBuffer) return mapped
  throw new UblkError(mapped.syscall, mapped.result, path)
}

/**
 * At most 2 GiB of zeros of this process alone, whose memory is taken page by page as they are written, and goes with the
 * buffer. `isHuge` asks for pages of 2 MiB: fewer faults and look-ups, and up to 2 MiB more for each place that is written.
 * Throws UblkError ENOMEM.
 */
export function mapLazy(bytes: number, isHuge: boolean): ArrayBuffer {
  const mapped: ArrayBuffer | NativeOutcome = addon().mapLazy(bytes, isHuge)
  if (mapped instanceof ArrayBuffer) return mapped
  throw new UblkError(mapped.syscall, mapped.result, `${bytes} bytes`)
}

/** Whole pages of a buffer of mapLazy() are zeros again, and take no memory. Throws UblkError EINVAL. */
export function giveBack(buffer: ArrayBuffer, offset: number, bytes: number): void {
  check('madvise', addon().giveBack(buffer, offset, bytes))
}

/** Unmap now. Views of the buffer become empty. Throws UblkError EINVAL when it is not one of mapShared()'s. */
export function unmapShared(buffer: ArrayBuffer): void {
  check('unmap', addon().unmapShared(buffer))
}

/**
 * Best effort, for each thread of a process that serves a block device: tell the kernel that it must not wait for write-back,
 * which may wait for us (PR_SET_IO_FLUSHER). Returns 0 or -errno. Mappings of this folder are pinned as they are touched; V8's
 * heap cannot be (see shared-memory.h).
 */
export function hardenThread(): number {
  return addon().setIoFlusher()
}

/**
 * Ask the kernel to run this thread as one that batches, or as any other (SCHED_BATCH, SCHED_OTHER: sched(7)). Waking a thread
 * that batches does not interrupt who woke it. On a CPU that others keep busy it waits for its turn, some milliseconds.
 * Returns 0 or -errno.
 */
export function scheduleAsBatch(isBatch: boolean): number {
  return addon().scheduleAsBatch(isBatch)
}

/** The kernel's id of this thread. */
export function gettid(): number {
  return addon().gettid()
}

/**
 * Where the next byte of a sparse file is, at or after an offset; or the next hole (the end of the file is one). Returns -errno:
 * ENXIO when there is none.
 */
export function seekFile(fd: number, offset: number, isHole: boolean): number {
  return addon().seekFile(fd, offset, isHole)
}

/** A descriptor of an anonymous file in memory. The caller closes it. */
export function createMemfd(name: string): number {
  return check('memfd_create', addon().createMemfd(name))
}
