/**
 * What must have happened before the device of a dead daemon can be taken over, and how long the kernel is given for it.
 */
import { existsSync } from 'node:fs'
import { UBLK_S_DEV_QUIESCED, type UblkControl } from '../ublk-native/index.js'
import { DaemonError } from './errors.js'

export type Delay = (milliseconds: number) => Promise<void>

const RECOVERY_WAIT_MS = 20_000
const RECOVERY_RETRY_MS = 25

/** The kernel notices a dead daemon within seconds, not at once. */
export async function waitUntilQuiesced(
  id: number,
  control: UblkControl,
  delay: Delay,
): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += RECOVERY_RETRY_MS) {
    const info = await control.info(id)
    if (info?.state === UBLK_S_DEV_QUIESCED) return
    if (info === null || !existsSync(`/sys/block/ublkb${id}`)) {
      const message = `the kernel has no device ${id} any more: zslab device delete ${id} clears what is left`
      throw new DaemonError('DAEMON_ERR_NOT_RECOVERABLE', message)
    }
    if (waitedMs >= RECOVERY_WAIT_MS) {
      const message = `device ${id} is in state ${info.state} after ${RECOVERY_WAIT_MS / 1000} s: is its old daemon (pid ${info.pid}) gone?`
      throw new DaemonError('DAEMON_ERR_BUSY', message)
    }
    await delay(RECOVERY_RETRY_MS)
  }
}

/** EBUSY until the last thread of the old daemon has let go of the char device. */
export async function startRecovery(id: number, control: UblkControl, delay: Delay): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += RECOVERY_RETRY_MS) {
    try {
      return await control.startRecovery(id)
    } catch (error) {
      const busy = (error as { code?: string }).code === 'EBUSY'
      if (!busy || waitedMs >= RECOVERY_WAIT_MS) throw error
    }
    await delay(RECOVERY_RETRY_MS)
  }
}
