/**
 * Where the daemon keeps things: the control socket, its log, and the state of devices.
 *
 * `ZSLAB_SOCKET` and `ZSLAB_STATE` move them, so that tests and several users do not meet. Every path is absolute: a daemon
 * does not run where the command that started it ran.
 */
import { mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { checkOwnDirectory } from './runtime-directory.js'

/** A path of the environment; one that is empty counts as not set. */
function fromEnvironment(name: string): string | null {
  const value = process.env[name]
  return value === undefined || value === '' ? null : resolve(value)
}

function sharedTemporaryDirectory(uid: number): string {
  return `/tmp/zslab-${uid}`
}

function runtimeDirectory(): string {
  const uid = process.getuid?.() ?? 0
  if (uid === 0) return '/run/zslab'
  return join(fromEnvironment('XDG_RUNTIME_DIR') ?? sharedTemporaryDirectory(uid), 'zslab')
}

/**
 * The Unix socket of the control protocol, mode 0600.
 * Throws DaemonError DAEMON_ERR_PERMISSION when it would be in a folder in /tmp that is not ours alone.
 */
export function socketPath(): string {
  const path = fromEnvironment('ZSLAB_SOCKET') ?? join(runtimeDirectory(), 'control.sock')
  const uid = process.getuid?.() ?? 0
  const shared = sharedTemporaryDirectory(uid)
  if (path.startsWith(`${shared}/`)) checkOwnDirectory(shared, uid)
  return path
}

/** Make the folder of the control socket and its log, and look again at what is there then. */
export function makeRuntimeDirectory(): void {
  mkdirSync(dirname(socketPath()), { recursive: true, mode: 0o700 })
  socketPath()
}

/** The log of a daemon that was started by a command (one in the foreground logs to stderr). */
export function logPath(): string {
  return join(dirname(socketPath()), 'daemon.log')
}

/** One folder a device; in shared memory, so that it outlives the daemon and not the machine's uptime. */
export function stateRoot(): string {
  return fromEnvironment('ZSLAB_STATE') ?? '/dev/shm/zslab'
}

/** The folder of one device. */
export function devicePath(id: number): string {
  return join(stateRoot(), String(id))
}
