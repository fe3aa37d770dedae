/**
 * /dev/ublkcN: the device that a server opens, once, for all its queues.
 */
import { closeSync, constants, open } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { errnoName, UblkError } from './errors.js'

const RETRY_MS = 5
const PATIENCE_MS = 2000
const openAsync = promisify(open)

/**
 * A file descriptor of /dev/ublkcN, which the caller closes with closeFd(). Waits up to two seconds for udev to make the node
 * and set its rights. Rejects with UblkError: ENOENT, EACCES, EBUSY (another process has it).
 */
export async function openCharDevice(id: number): Promise<number> {
  const path = `/dev/ublkc${id}`
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await openAsync(path, constants.O_RDWR)
    } catch (error) {
      const errno = (error as NodeJS.ErrnoException).errno ?? -5
      const code = errnoName(errno)
      const mayCome = code === 'ENOENT' || code === 'EACCES'
      if (!mayCome || performance.now() >= deadline) throw new UblkError('open', errno, path)
    }
    await delay(RETRY_MS)
  }
}

/** Close a descriptor that openCharDevice() gave. */
export function closeFd(fd: number): void {
  closeSync(fd)
}
