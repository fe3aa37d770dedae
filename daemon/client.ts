/**
 * The daemon seen from outside: what the command line and other programs may import of it.
 *
 * Guarantees: one connection a call, closed in every case; a daemon that is not there is DAEMON_ERR_NOT_RUNNING; errors
 * that the daemon sends arrive as DaemonError with the daemon's own code and message.
 */
import { createConnection } from 'node:net'
import { DAEMON_ERRORS, DaemonError, type DaemonErrorCode } from './errors.js'
import { socketPath } from './paths.js'
import type { Reply, Verb, Verbs } from './protocol.js'
import type { ZoneOperation } from './zone-command.js'

export { DAEMON_ERRORS, DaemonError, type DaemonErrorCode } from './errors.js'
export {
  FAULT_COUNT_MAX,
  FAULT_DELAY_MAX_MS,
  FAULT_ERRNOS,
  FAULT_OPS_NAMES,
} from './fault-orders.js'
export * from './options.js'
export { logPath, socketPath, stateRoot } from './paths.js'
export type * from './protocol.js'
export { REFUSALS_MAX } from './refusals.js'
export { ensureDaemon } from './spawn.js'

function asDaemonError(error: { code: string; message: string }): DaemonError {
  const code = error.code in DAEMON_ERRORS ? (error.code as DaemonErrorCode) : 'DAEMON_ERR_REQUEST'
  return new DaemonError(code, error.message)
}

function unreachable(path: string, error: NodeJS.ErrnoException): DaemonError {
  if (error.code === 'EACCES') {
    const message = `not allowed to use the control socket ${path}: run with sudo`
    return new DaemonError('DAEMON_ERR_PERMISSION', message, { cause: error })
  }
  const message = `no daemon answers on ${path}: \`zslab device create\` starts one`
  return new DaemonError('DAEMON_ERR_NOT_RUNNING', message, { cause: error })
}

/** Ask the daemon. Rejects with DaemonError. */
export function request<V extends Verb>(
  verb: V,
  params: Verbs[V]['params'],
  path = socketPath(),
): Promise<Verbs[V]['result']> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    let text = ''
    socket.setEncoding('utf8')
    socket.on('connect', () => socket.write(`${JSON.stringify({ id: 1, verb, params })}\n`))
    socket.on('data', (chunk: string) => {
      text += chunk
      // Only what is new is searched: a report of all zones comes in hundreds of pieces.
      if (!chunk.includes('\n')) return
      socket.destroy()
      const reply = JSON.parse(text.slice(0, text.indexOf('\n'))) as Reply
      if (reply.error !== undefined) reject(asDaemonError(reply.error))
      else resolve(reply.result as Verbs[V]['result'])
    })
    socket.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(path, error)))
    socket.on('close', () => {
      const message = 'the daemon closed the connection without an answer: see its log'
      reject(new DaemonError('DAEMON_ERR_NOT_RUNNING', message))
    })
  })
}

/**
 * Give a zone command through the kernel, in this process (see zone-command.ts). The addon is loaded only now: most of what
 * the command line does needs none.
 */
export async function zoneCommand(
  path: string,
  operation: ZoneOperation,
  startSector: number,
  sectors: number,
): Promise<void> {
  const commands = await import('./zone-command.js')
  await commands.zoneCommand(path, operation, startSector, sectors)
}

/** After zones changed behind the kernel's back (`zone.offline`): let it read their write pointers again. */
export async function refreshKernelZones(
  path: string,
  startSector: number,
  count: number,
): Promise<void> {
  const commands = await import('./zone-command.js')
  await commands.refreshKernelZones(path, startSector, count)
}

/** Whether the addon is built and loads here; `message` says what to do when not. */
export async function probeAddon(): Promise<{ ok: boolean; message: string }> {
  const native = await import('../ublk-native/index.js')
  try {
    native.gettid()
    return { ok: true, message: native.addonPath() }
  } catch (error) {
    return { ok: false, message: (error as Error).message }
  }
}

/** Why ublk must not be touched on a kernel (as `uname -r` names it), or null. */
export async function refusedKernel(release: string): Promise<string | null> {
  return (await import('../ublk-native/index.js')).refusedKernel(release)
}
