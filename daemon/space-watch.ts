/**
 * Says in the log when the data of a device finds no more memory, and when it does again.
 *
 * Queue workers run no event loop and log nothing: they count the writes that got ENOSPC (counters.ts), and the main thread
 * looks at the counts. Guarantees: one line when writes begin to fail and one when something was given back, however many
 * fail between them; a look at a device without trouble reads one number a queue.
 */
import type { Logger } from './log.js'

/** So much under its limit, a device has room: no single write takes more (UBLK_MAX_IO_BYTES). */
const ROOM_BYTES = 1024 * 1024

/** What is looked at of a device. */
export interface Watched {
  readonly id: number
  /** 0: only the machine's memory is the limit. */
  readonly memoryLimitBytes: number
  /** Writes that got ENOSPC since the device was made. */
  noSpaceWrites(): number
  /** Memory that its data takes, without what would be given back at need. */
  usedBytes(): number
}

interface Entry {
  readonly watched: Watched
  seen: number
  /** While writes fail: the count before the first of them, and the memory in use then; else null. */
  trouble: { before: number; usedBytes: number } | null
}

export class SpaceWatch {
  readonly #log: Pick<Logger, 'warn' | 'info'>
  readonly #entries = new Map<number, Entry>()

  constructor(log: Pick<Logger, 'warn' | 'info'>) {
    this.#log = log
  }

  /** What failed before, another daemon has logged. */
  add(watched: Watched): void {
    this.#entries.set(watched.id, { watched, seen: watched.noSpaceWrites(), trouble: null })
  }

  /** Before a device goes: what happened since the last look is logged. */
  remove(id: number): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) this.#lookAt(entry)
    this.#entries.delete(id)
  }

  /** To be called now and then. */
  look(): void {
    for (const entry of this.#entries.values()) this.#lookAt(entry)
  }

  #lookAt(entry: Entry): void {
    const { watched } = entry
    const count = watched.noSpaceWrites()
    const { id: device, memoryLimitBytes } = watched
    if (count > entry.seen && entry.trouble === null) {
      entry.trouble = { before: entry.seen, usedBytes: watched.usedBytes() }
      const what =
        memoryLimitBytes === 0
          ? 'there is no memory left for the data of this device'
          : 'the device has reached its memory limit'
      this.#log.warn(
        { device, memoryLimitBytes, usedBytes: entry.trouble.usedBytes },
        `${what}: writes get ENOSPC until zones are reset`,
      )
    }
    entry.seen = count
    if (entry.trouble === null) return
    const usedBytes = watched.usedBytes()
    const isLess = usedBytes < entry.trouble.usedBytes
    if (!isLess && usedBytes + ROOM_BYTES > memoryLimitBytes) return
    const noSpaceWrites = count - entry.trouble.before
    this.#log.info({ device, noSpaceWrites, usedBytes }, 'the device has memory for data again')
    entry.trouble = null
  }
}
