/**
 * The daemon's log: JSON lines by pino, on stderr. Never used on a queue's thread, whose event loop does not turn.
 */
import { destination, type Logger, pino } from 'pino'

export type { Logger }

/** `ZSLAB_LOG` sets the level (trace, debug, info, warn, error, fatal, silent). */
export function createLog(): Logger {
  const level = process.env['ZSLAB_LOG'] ?? 'info'
  // Synchronous: the last lines before a crash are the ones that matter.
  return pino(
    { name: 'zslab', level, base: { pid: process.pid } },
    destination({ dest: 2, sync: true }),
  )
}
