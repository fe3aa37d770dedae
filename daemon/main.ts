/**
 * Entrance of a daemon that a command starts in the background (spawn.ts): says one line on descriptor 3, then serves.
 */
import { runDaemon } from './index.js'
import { createLog } from './log.js'
import { StatusLine } from './status-line.js'

const STATUS_FD = 3

const status = new StatusLine(STATUS_FD)
try {
  await runDaemon({ idleExit: true, onReady: () => status.say({ ok: true }) })
  // Devices that were left for the next daemon still have workers: they must not keep this process.
  process.exit(0)
} catch (error) {
  const { code, message } = error as { code?: string; message: string }
  if (!status.say({ ok: false, code: code ?? 'DAEMON_ERR_REQUEST', message })) {
    createLog().fatal({ err: error }, 'daemon failed')
  }
  process.exit(1)
}
