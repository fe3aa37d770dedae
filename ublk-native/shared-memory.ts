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

/** Unmap now. Views of the buffer become empty. Throws UblkError EINVAL when it is not one of mapShared()'s. */
export function unmapShared(buffer: ArrayBuffer): void {
  check('unmap', addon().unmapShared(buffer))
}

/**
 * Best effort, for a process that serves a block device: pin its memory as it is touched, and tell the kernel that this thread
 * must not wait for write-back (which may wait for us). Each field is 0 or -errno.
 */
export function hardenProcess(): { mlock: number; ioFlusher: number } {
  return { mlock: addon().lockMemory(), ioFlusher: addon().setIoFlusher() }
}

/** The part of hardenProcess() that is per thread: call it on each worker. Returns 0 or -errno. */
export function hardenThread(): number {
  return addon().setIoFlusher()
}

/** The kernel's id of this thread. */
export function gettid(): number {
  return addon().gettid()
}

/** A descriptor of an anonymous file in memory. The caller closes it. */
export function createMemfd(name: string): number {
  return check('memfd_create', addon().createMemfd(name))
}
