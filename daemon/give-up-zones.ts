/**
 * A drive gives zones up, as a controller may at any time: read-only, then offline (a host can only do the second, ZNS 1.1
 * §2.1.1). Only the model is changed here: the caller lets the kernel read the zones again (refreshKernelZones).
 */
import { offlineZone, readOnlyZone } from '../zone-model/index.js'
import type { Device } from './device.js'
import { DaemonError } from './errors.js'

/**
 * Throws DaemonError DAEMON_ERR_OPTION (no such zones, or conventional ones: nothing was changed) or DAEMON_ERR_ZONE (the
 * message names the first zone that could not be changed; those before it were).
 */
export function giveUpZones(
  { id, geometry, state }: Device,
  first: number,
  count: number,
  to: 'read-only' | 'offline',
): { changed: number } {
  const { zoneCount, conventionalCount } = geometry
  if (first < 0 || count < 1 || first + count > zoneCount) {
    const message = `zones ${first} to ${first + count - 1}: device ${id} has zones 0 to ${zoneCount - 1}`
    throw new DaemonError('DAEMON_ERR_OPTION', message)
  }
  if (first < conventionalCount) {
    // Looked at before the first zone is changed. Linux refuses a disk with such a zone in any condition but its own.
    const others = `zones ${conventionalCount} to ${zoneCount - 1}`
    const message = `zone ${first} of device ${id} is conventional and cannot go ${to}; nothing was changed: choose among ${others}`
    throw new DaemonError('DAEMON_ERR_OPTION', message)
  }
  for (let zone = first; zone < first + count; zone++) {
    const readOnly = readOnlyZone(state.table, zone)
    const status = to === 'offline' ? offlineZone(state.table, zone) : readOnly
    if (status < 0) {
      const message = `zone ${zone} cannot go ${to} from where it is (NVMe status 0x${(-status).toString(16)})`
      throw new DaemonError('DAEMON_ERR_ZONE', message)
    }
  }
  return { changed: count }
}
