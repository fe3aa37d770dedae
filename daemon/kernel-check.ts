/**
 * Whether this kernel can have a zoned ublk device at all.
 */
import { existsSync } from 'node:fs'
import { release } from 'node:os'
import {
  refusedKernel,
  UBLK_F_USER_COPY,
  UBLK_F_ZONED,
  type UblkControl,
} from '../ublk-native/index.js'
import { DaemonError } from './errors.js'
import { loadModule } from './module.js'
import type { DeviceOptions } from './options.js'

const CONTROL_PATH = '/dev/ublk-control'

/** Throws a DaemonError that says what is missing, before anything is made. */
export async function checkKernel(control: UblkControl, options: DeviceOptions): Promise<void> {
  const reason = refusedKernel(release())
  if (reason !== null && !options.unsafeKernel) {
    const message = `${reason} Boot another kernel, use \`zslab vm\`, or insist with --unsafe-kernel.`
    throw new DaemonError('DAEMON_ERR_KERNEL', message)
  }
  if (!existsSync(CONTROL_PATH)) await loadModule('ublk_drv')
  if (!existsSync(CONTROL_PATH)) {
    const message = `${CONTROL_PATH} is missing: this kernel has no ublk, or not its module. \`zslab doctor\` says more`
    throw new DaemonError('DAEMON_ERR_NO_UBLK', message)
  }
  const features = await control.features()
  if ((features & UBLK_F_ZONED) === 0 || (features & UBLK_F_USER_COPY) === 0) {
    const message =
      'ublk of this kernel has no zoned devices: use Linux 6.6 or newer with CONFIG_BLK_DEV_ZONED'
    throw new DaemonError('DAEMON_ERR_KERNEL', message)
  }
}
