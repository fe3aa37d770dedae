/**
 * The one line that a daemon in the background says to the command that started it, over a pipe.
 *
 * Guarantees: it is said once at most, the descriptor is closed then and never touched again (its number may be another file's
 * by now), and a command that has gone away meanwhile (Ctrl-C) is no error: the daemon has devices to serve.
 */
import { closeSync, writeSync } from 'node:fs'

export type Status = { ok: true } | { ok: false; code: string; message: string }

export class StatusLine {
  #fd: number | null

  constructor(fd: number) {
    this.#fd = fd
  }

  /** True when this was the time to say it: after the first call nobody listens, and what happens belongs into the log. */
  say(status: Status): boolean {
    const fd = this.#fd
    if (fd === null) return false
    this.#fd = null
    try {
      writeSync(fd, `${JSON.stringify(status)}\n`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
    } finally {
      closeSync(fd)
    }
    return true
  }
}
