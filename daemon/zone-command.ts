/**
 * Zone commands as a program gives them: by ioctl on the block device, in the caller's own process.
 *
 * They go through the kernel, so that its page cache and its own write pointers stay true. They are never sent from the
 * daemon: a process that waits for a device which it serves itself cannot be killed any more.
 */
import { refreshZones, UblkError, zoneIoctl } from '../ublk-native/index.js'
import { DaemonError } from './errors.js'

export type ZoneOperation = 'open' | 'close' | 'finish' | 'reset'

/** Sectors of 512 bytes, aligned to zones. Rejects with DaemonError DAEMON_ERR_ZONE (refused) or DAEMON_ERR_PERMISSION. */
export async function zoneCommand(
  path: string,
  operation: ZoneOperation,
  startSector: number,
  sectors: number,
): Promise<void> {
  try {
    await zoneIoctl(path, operation, startSector, sectors)
  } catch (error) {
    if (!(error instanceof UblkError)) throw error
    if (error.code === 'EACCES' || error.code === 'EPERM') {
      throw new DaemonError('DAEMON_ERR_PERMISSION', `${path}: not allowed; run with sudo`, {
        cause: error,
      })
    }
    const message = `${operation} on ${path} from sector ${startSector}: ${error.code}; \`zslab explain ${path}\` says why`
    throw new DaemonError('DAEMON_ERR_ZONE', message, { cause: error })
  }
}

/** After zones changed without the kernel's doing: let it read their write pointers again. */
export async function refreshKernelZones(
  path: string,
  startSector: number,
  count: number,
): Promise<void> {
  await refreshZones(path, startSector, count)
}
