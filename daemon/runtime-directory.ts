/**
 * The folder of the control socket where there is no better one: /tmp/zslab-UID. Anybody can make it before us, so it is
 * trusted only if it is a folder (no link), ours, and nobody else's to write to.
 */
import { lstatSync } from 'node:fs'
import { DaemonError } from './errors.js'

/**
 * Throws DaemonError DAEMON_ERR_PERMISSION when `path` is there and somebody else could put a socket into it. A folder that is
 * not there is fine: it is looked at again after it was made.
 */
export function checkOwnDirectory(path: string, uid: number): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  const isOurs = found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0
  if (isOurs) return
  const message = `${path} is not a folder of mode 0700 that belongs to user ${uid}: remove it, or set XDG_RUNTIME_DIR or ZSLAB_SOCKET`
  throw new DaemonError('DAEMON_ERR_PERMISSION', message)
}
