/**
 * Where the daemon keeps things: the control socket, its log, and the state of devices.
 *
 * `ZSLAB_SOCKET` and `ZSLAB_STATE` move them, so that tests and several users do not meet.
 */
import { dirname, join } from 'node:path'

function runtimeDirectory(): string {
  if (process.getuid?.() === 0) return '/run/zslab'
  return join(process.env['XDG_RUNTIME_DIR'] ?? `/tmp/zslab-${process.getuid?.() ?? 0}`, 'zslab')
}

/** The Unix socket of the control protocol, mode 0600. */
export function socketPath(): string {
  return process.env['ZSLAB_SOCKET'] ?? join(runtimeDirectory(), 'control.sock')
}

/** The log of a daemon that was started by a command (one in the foreground logs to stderr). */
export function logPath(): string {
  return join(dirname(socketPath()), 'daemon.log')
}

/** One folder a device; in shared memory, so that it outlives the daemon and not the machine's uptime. */
export function stateRoot(): string {
  return process.env['ZSLAB_STATE'] ?? '/dev/shm/zslab'
}

/** The folder of one device. */
export function devicePath(id: number): string {
  return join(stateRoot(), String(id))
}
