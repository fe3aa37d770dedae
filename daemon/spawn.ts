/**
 * A daemon in the background for commands that need one.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { DAEMON_ERRORS, DaemonError, type DaemonErrorCode } from './errors.js'
import { logPath, makeRuntimeDirectory, socketPath, stateRoot } from './paths.js'

const TRIES_MAX = 50
const RETRY_MS = 50
const ENTRY = new URL('./main.js', import.meta.url)

/** Whether a daemon answers a ping: one that is being killed may still take connections. */
function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => socket.write('{"id":0,"verb":"ping","params":{}}\n'))
    socket.once('data', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
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

/** What a daemon is told of where things are: the same that this process means, wherever each of them runs. */
export function daemonEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, ZSLAB_SOCKET: socketPath(), ZSLAB_STATE: stateRoot() }
}

/** Start one and wait for its word; null when it serves. */
async function start(): Promise<{ code: string; message: string } | null> {
  makeRuntimeDirectory()
  const log = openSync(logPath(), 'a', 0o600)
  const child = spawn(process.execPath, [fileURLToPath(ENTRY)], {
    detached: true,
    // It must not keep a file system busy. Relative paths of this process mean nothing there.
    cwd: '/',
    env: daemonEnvironment(),
    stdio: ['ignore', log, log, 'pipe'],
  })
  closeSync(log)
  const status = child.stdio[3] as Readable
  const line = await firstLine(status)
  status.destroy()
  child.unref()
  if (line === null) return { code: 'DAEMON_ERR_NOT_RUNNING', message: 'it ended without a word' }
  const said = JSON.parse(line) as { ok: boolean; code: string; message: string }
  return said.ok ? null : said
}

/**
 * Start a daemon if none answers, and wait until it does. It ends by itself when it has had no device for some seconds.
 * Rejects with the daemon's own error, or DAEMON_ERR_NOT_RUNNING that names the log.
 */
export async function ensureDaemon(): Promise<void> {
  for (let triesLeft = TRIES_MAX; !(await answers(socketPath())); triesLeft--) {
    const failure = await start()
    if (failure === null) return
    // Somebody else was faster, and theirs is as good; or a dying daemon has not let go of the socket yet.
    if (failure.code === 'DAEMON_ERR_ALREADY_RUNNING' && triesLeft > 0) {
      await delay(RETRY_MS)
      continue
    }
    const known = failure.code in DAEMON_ERRORS
    const code = known ? (failure.code as DaemonErrorCode) : 'DAEMON_ERR_NOT_RUNNING'
    const message = `the daemon did not start: ${failure.message} (log: ${logPath()})`
    throw new DaemonError(code, message)
  }
}
