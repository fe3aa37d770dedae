/**
 * daemon: keeps devices alive.
 *
 * Goals: one process, one thread a ublk queue, control over a Unix socket; SIGKILL at any moment loses nothing that was
 * acknowledged. Non-goals: zone rules (zone-model), moving bytes (ublk-native), objects (store), a network listener.
 */

import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { errnoName, hardenThread } from '../ublk-native/index.js'
import { ControlServer } from './control-server.js'
import { dispatch } from './dispatch.js'
import { createLog, type Logger } from './log.js'
import { makeRuntimeDirectory, socketPath } from './paths.js'
import { Registry } from './registry.js'

/** A daemon that was started by a command ends when it has had no device and no caller for this long. */
const IDLE_EXIT_MS = 3000
const IDLE_CHECK_MS = 500
/** The exit code of a bug (sysexits.h: EX_SOFTWARE). */
const EXIT_BUG = 70

export interface DaemonRun {
  /** End when idle. */
  idleExit?: boolean
  /** Called when requests are answered. */
  onReady?: () => void
}

/** package.json lies one level up from the sources and two from dist/. */
async function version(): Promise<string> {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const text = await readFile(new URL(place, import.meta.url), 'utf8')
      return (JSON.parse(text) as { version: string }).version
    } catch {
      // The other place, then.
    }
  }
  return 'unknown'
}

/** The daemon serves file systems: it must not wait for its own write-back, nor be the OOM killer's choice. */
function harden(log: Logger): void {
  const ioFlusher = hardenThread()
  let oomScore = 0
  try {
    writeFileSync('/proc/self/oom_score_adj', '-900')
  } catch (error) {
    oomScore = (error as NodeJS.ErrnoException).errno ?? -1
  }
  if (ioFlusher < 0 || oomScore < 0) {
    log.warn({ ioFlusher, oomScore }, 'not fully protected against memory pressure')
  }
}

/**
 * Serve until SIGTERM, SIGINT or `shutdown`; resolves when everything is released.
 * Rejects with DAEMON_ERR_ALREADY_RUNNING when another daemon has the socket.
 */
export async function runDaemon(run: DaemonRun = {}): Promise<void> {
  const log = createLog()
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  const registry = new Registry(log, {
    delay: milliseconds => delay(milliseconds),
    onFlushFailure: (device, result) =>
      log.error({ device, result }, 'the disk of the image refused a flush; who asked was told'),
    onTierProblem: (action, result) => {
      log.warn({ action, errno: errnoName(result) }, 'the tier failed; it is tried again later')
    },
    onWorkerDeath: error => {
      log.fatal(
        { err: error },
        'a queue worker died: the process goes with it, devices wait for recovery',
      )
      process.exit(EXIT_BUG)
    },
  })
  makeRuntimeDirectory()
  const server = await ControlServer.start(
    socketPath(),
    dispatch(registry, await version(), () => setImmediate(stop)),
  )
  harden(log)
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  await registry.adopt()
  log.info({ socket: socketPath(), devices: registry.size }, 'daemon ready')
  run.onReady?.()
  await untilStopped(stopping.signal, run.idleExit === true, registry, server)
  log.info('draining')
  server.close()
  await registry.drain()
  log.info('daemon ended')
}

async function untilStopped(
  signal: AbortSignal,
  idleExit: boolean,
  registry: Registry,
  server: ControlServer,
): Promise<void> {
  while (!signal.aborted) {
    await delay(IDLE_CHECK_MS, undefined, { signal }).catch(() => {})
    registry.lookForFull()
    const idle = registry.size === 0 && Date.now() - server.idleSinceMs > IDLE_EXIT_MS
    if (idleExit && idle) return
  }
}
