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
  /** Of those who wait for room. Racing the burials instead would cost each of them a thousand reactions a `set`. */
  #wakers: (() => void)[] = []

  constructor(private readonly reader: Pick<DriveReader, 'buryOlder'>) {}

  /** `key` must stay what it is. */
  add(key: Uint8Array, locators: readonly number[]): void {
    const burial = this.reader.buryOlder(key, locators).finally(() => {
      this.#underWay.delete(burial)
      this.#wake()
    })
    this.#underWay.add(burial)
  }

  /** Whether so many are under way that who can wait has to. */
  get isCrowded(): boolean {
    return this.#underWay.size > CROWD
  }

  /** Resolves when there is room for more. */
  async room(): Promise<void> {
    while (this.isCrowded) await new Promise<void>(resolve => this.#wakers.push(resolve))
  }

  /** Resolves when all that are under way now are done. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  #wake(): void {
    if (this.isCrowded || this.#wakers.length === 0) return
    const wakers = this.#wakers
    this.#wakers = []
    for (const wake of wakers) wake()
  }
}
