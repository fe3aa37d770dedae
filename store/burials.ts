/**
 * Burials under way: a key was written, and an older copy of it may be on the drive, in a page that has to be read first.
 *
 * Writers do not wait for them, unless there are too many. A commit does: what it makes durable must stay the newest copy
 * after a restart too.
 */
import type { DriveReader } from './drive-reader.js'

const CROWD = 1024

export class Burials {
  readonly #underWay = new Set<Promise<void>>()

  constructor(private readonly reader: DriveReader) {}

  /** `key` must stay what it is. */
  add(key: Uint8Array, locators: readonly number[]): void {
    const burial = this.reader.buryOlder(key, locators).finally(() => this.#underWay.delete(burial))
    this.#underWay.add(burial)
  }

  /** Whether so many are under way that who can wait has to. */
  get isCrowded(): boolean {
    return this.#underWay.size > CROWD
  }

  /** Resolves when there is room for more. */
  async room(): Promise<void> {
    while (this.isCrowded) await Promise.race(this.#underWay)
  }

  /** Resolves when all that are under way now are done. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }
}
