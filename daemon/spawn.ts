/**
 * A daemon in the background for commands that need one.
 */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { DAEMON_ERRORS, DaemonError, type DaemonErrorCode } from './errors.js'
import { logPath, socketPath } from './paths.js'

const ENTRY = new URL('./main.js', import.meta.url)

function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function firstLine(stream: Readable): Promise<string | null> {
  return new Promise(resolve => {
    let text = ''
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')))
    })
    stream.on('close', () => resolve(null))
  })
}

/**
 * Start a daemon if none answers, and wait until it does. It ends by itself when it has had no device for some seconds.
 * Rejects with the daemon's own error, or DAEMON_ERR_NOT_RUNNING that names the log.
 */
export async function ensureDaemon(): Promise<void> {
  if (await answers(socketPath())) return
  mkdirSync(dirname(logPath()), { recursive: true, mode: 0o700 })
  const log = openSync(logPath(), 'a', 0o600)
  const child = spawn(process.execPath, [fileURLToPath(ENTRY)], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log, 'pipe'],
  })
  closeSync(log)
  const status = child.stdio[3] as Readable
  const line = await firstLine(status)
  status.destroy()
  child.unref()
  if (line === null) {
    throw new DaemonError('DAEMON_ERR_NOT_RUNNING', `the daemon did not start: see ${logPath()}`)
  }
  const said = JSON.parse(line) as { ok: boolean; code?: string; message?: string }
  // Somebody else was faster: theirs is as good.
  if (said.ok || said.code === 'DAEMON_ERR_ALREADY_RUNNING') return
  const code =
    said.code! in DAEMON_ERRORS ? (said.code as DaemonErrorCode) : 'DAEMON_ERR_NOT_RUNNING'
  throw new DaemonError(code, `the daemon did not start: ${said.message} (log: ${logPath()})`)
}
