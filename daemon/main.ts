/**
 * Entrance of a daemon that a command starts in the background (spawn.ts): says one line on descriptor 3, then serves.
 */
import { closeSync, writeSync } from 'node:fs'
import { runDaemon } from './index.js'

const STATUS_FD = 3

function say(status: { ok: true } | { ok: false; code: string; message: string }): void {
  writeSync(STATUS_FD, `${JSON.stringify(status)}\n`)
  closeSync(STATUS_FD)
}

try {
  await runDaemon({ idleExit: true, onReady: () => say({ ok: true }) })
  // Devices that were left for the next daemon still have workers: they must not keep this process.
  process.exit(0)
} catch (error) {
  const { code, message } = error as { code?: string; message: string }
  say({ ok: false, code: code ?? 'DAEMON_ERR_REQUEST', message })
  process.exit(1)
}
