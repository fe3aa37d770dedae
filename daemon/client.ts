/**
 * The daemon seen from outside: what the command line and other programs may import of it.
 *
 * Guarantees: `request` is one connection a call, closed in every case (`connect` keeps one); a daemon that is not there is
 * DAEMON_ERR_NOT_RUNNING; errors that the daemon sends arrive as DaemonError with the daemon's own code and message.
 */
import { connect } from './connection.js'
import { socketPath } from './paths.js'
import type { Verb, Verbs } from './protocol.js'
import type { TraceEntry } from './trace-entries.js'
import type { ZoneOperation } from './zone-command.js'
import type { ZonedDisk } from './zoned-disk.js'

export { type Connection, connect } from './connection.js'
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
export type { TraceEntry } from './trace-entries.js'
export { type ZoneState, zoneRuns, zonesOfRuns } from './zone-runs.js'
export type { DiskLayout, DiskRequest, ZonedDisk } from './zoned-disk.js'

/** Ask the daemon one thing. Rejects with DaemonError. */
export async function request<V extends Verb>(
  verb: V,
  params: Verbs[V]['params'],
  path = socketPath(),
): Promise<Verbs[V]['result']> {
  const connection = await connect(path)
  try {
    return await connection.request(verb, params)
  } finally {
    connection.close()
  }
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

/** What reading a recording needs: the decoder of ring entries, and the names of errnos. */
export async function traceTools(): Promise<{
  decodeEntries(base64: string): TraceEntry[]
  errnoName(errno: number): string
}> {
  return import('./trace-entries.js')
}

/** Any zoned block device, for this process alone: see zoned-disk.ts. */
export async function openZonedDisk(path: string): Promise<ZonedDisk> {
  return (await import('./zoned-disk.js')).openZonedDisk(path)
}
