/**
 * Ends the wait of queues from other threads.
 *
 * A worker inside commitAndFetch() is stopped by nothing that Node has: terminate() waits for it, and so does process.exit(),
 * for ever. So the main thread registers every queue's kickFd, and the exit of the process kicks them for good: their calls
 * return 0 from then on, until Node has stopped the thread.
 */
import { addon } from './addon.js'
import { closeFd } from './char-device.js'
import { check } from './errors.js'

const registered = new Set<number>()
let hooked = false

function kickAll(): void {
  for (const fd of registered) addon().kick(fd, true)
}

/** End the wait of one queue, once. From any thread. Throws UblkError (EBADF: the queue is closed). */
export function kick(fd: number): void {
  check('kick', addon().kick(fd, false))
}

/** Kick this queue when the process exits. Call it on the main thread. */
export function registerKick(fd: number): void {
  registered.add(fd)
  if (hooked) return
  hooked = true
  process.on('exit', kickAll)
}

/**
 * Forget this queue and close its kickFd (the queue has a descriptor of its own: it may be open or closed already). Until then
 * kick() is safe at any time, even when the queue has ended by itself.
 */
export function unregisterKick(fd: number): void {
  if (registered.delete(fd)) closeFd(fd)
}
