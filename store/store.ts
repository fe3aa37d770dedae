/**
 * The store as programs use it: keys and values of any bytes, with a time to live.
 *
 * Keys are 1 … 250 bytes, values 0 bytes … 64 MiB (less where a zone is smaller), Buffer or string (UTF-8). Times are
 * milliseconds. What is in memory is answered without a promise in the way by the methods whose names end in `Sync`, and by
 * `getInto`; the others return promises always. One process uses a device at a time.
 */
import { createHash } from 'node:crypto'
import type { Access, Key } from './access.js'
import { bytesOf, checkScan, checkTtl } from './arguments.js'
import type { Burials } from './burials.js'
import { DEADLINE, NOW } from './cells.js'
import type { Clock } from './clock.js'
import type { Committer } from './committer.js'
import { type Engine, FOUND, MISSING, ON_DRIVE } from './engine.js'
import { StoreError } from './errors.js'
import { PAGE_BYTES } from './layout.js'
import { notNumber, numberIn } from './number-value.js'
import type { StoreSettings } from './options.js'
import type { RecoveryReport } from './recovery.js'
import type { Reinserter } from './reinserter.js'
import type { Scanner, ScanPage } from './scanner.js'
import type { StoreStats } from './stats.js'
import type { ZoneIo } from './zone-io.js'
import { viewZones, type ZoneView } from './zone-view.js'
import { BUSY, NO_ROOM } from './zone-writer.js'

export type { Key }
export type Value = string | Uint8Array

/** Of `put`: the condition does not hold. */
const REFUSED = -3

export interface SetOptions {
  /** Milliseconds, above 0. Without it (or with Infinity) the object stays until it is deleted or evicted. */
  readonly ttl?: number | undefined
  /** Only if the key is not there. */
  readonly ifAbsent?: boolean | undefined
  /** Only if the key is there in this version (of `getEntry`). */
  readonly ifVersion?: string | undefined
}

export interface Entry {
  readonly value: Buffer
  /** A digest of value and deadline: another when one of them is another. */
  readonly version: string
  /** Milliseconds left; Infinity without. */
  readonly ttl: number
}

export interface StoreParts {
  readonly access: Access
  readonly engine: Engine
  readonly io: ZoneIo
  readonly burials: Burials
  readonly scanner: Scanner
  readonly committer: Committer
  /** Null unless eviction is 'reinsert'. */
  readonly reinserter: Reinserter | null
  readonly settings: StoreSettings
  readonly valueBytesMax: number
  /** What the start found. */
  readonly report: RecoveryReport
  readonly statsOf: () => StoreStats
  readonly clock: Clock
  /** Ends the timer, which must not wake while the last commit is under way. */
  readonly stopTicking: () => void
  /** Lets the device go. */
  readonly release: () => Promise<void>
}

export class Store implements AsyncDisposable {
  #isClosed = false

  constructor(private readonly parts: StoreParts) {}

  /**
   * Writes an object. Resolves to true, or to false when `ifAbsent` or `ifVersion` kept it from being written; with
   * `durability: 'sync'` when it is durable.
   *
   * @throws StoreError KEY, VALUE, TTL, FULL (`noeviction`), DEVICE, CLOSED
   */
  async set(key: Key, value: Value, options: SetOptions = {}): Promise<boolean> {
    const bytes = bytesOf(value, this.parts.valueBytesMax)
    const ttl = checkTtl(options.ttl)
    const copy = this.#copyOf(key)
    const isConditional = options.ifAbsent === true || options.ifVersion !== undefined
    for (;;) {
      const put = () => this.#put(copy, bytes, ttl)
      const result = isConditional ? await this.#putIf(copy, options, put) : put()
      if (result === REFUSED) return false
      if (result === NO_ROOM) throw full()
      if (result !== BUSY) break
      await this.#room()
    }
    await this.parts.burials.room()
    if (this.parts.settings.durability === 'sync') await this.parts.committer.commit()
    return true
  }

  /**
   * Writes an object at once. Not with `durability: 'sync'`, which has to wait.
   *
   * @throws StoreError as `set`; BUSY when the device is behind: await `set` instead
   */
  setSync(key: Key, value: Value, ttl?: number): void {
    if (this.parts.settings.durability === 'sync') throw busy("durability is 'sync'")
    const bytes = bytesOf(value, this.parts.valueBytesMax)
    const ttlMs = checkTtl(ttl)
    this.#checkOpen()
    if (this.parts.burials.isCrowded) throw busy('older copies of what was set wait to be read')
    const result = this.#put(key, bytes, ttlMs)
    if (result === NO_ROOM) throw full()
    if (result === BUSY) throw busy('the device is behind')
  }

  /** The value, or undefined when there is none (any more). @throws StoreError KEY, DAMAGED, CLOSED, as all that read */
  async get(key: Key): Promise<Buffer | undefined> {
    this.#checkOpen()
    const { access } = this.parts
    return access.locate(key, isAlive => (isAlive ? access.value() : undefined))
  }

  /** The value with its version and what it has left to live. */
  async getEntry(key: Key): Promise<Entry | undefined> {
    this.#checkOpen()
    return this.parts.access.locate(key, isAlive => (isAlive ? this.#entry() : undefined))
  }

  /** The value if memory can tell; undefined: there is none; null: it may be on the drive, await `get`. */
  getSync(key: Key): Buffer | undefined | null {
    this.#checkOpen()
    const result = this.parts.access.look(key)
    if (result === ON_DRIVE) return null
    return result === FOUND ? this.parts.access.value() : undefined
  }

  /**
   * Copies the value into `target` and gives its length, -1 when there is none: at once from memory, else a promise. Of a value
   * that is longer than `target` nothing is copied; the length says how much room it needs.
   */
  getInto(key: Key, target: Uint8Array): number | Promise<number> {
    this.#checkOpen()
    const { access } = this.parts
    const result = access.look(key)
    if (result === FOUND) return access.copyInto(target)
    if (result === MISSING) return -1
    return access.locate(key, isAlive => (isAlive ? access.copyInto(target) : -1))
  }

  async has(key: Key): Promise<boolean> {
    this.#checkOpen()
    return this.parts.access.locate(key, isAlive => isAlive)
  }

  /** Resolves to whether it was there; with `durability: 'sync'` when it is gone for good. @throws as `get` */
  async delete(key: Key): Promise<boolean> {
    const { access, engine, committer, settings } = this.parts
    const copy = this.#copyOf(key)
    const wasAlive = await access.locateCopy(copy, isThere => {
      const isAlive = isThere && engine.foundLives()
      if (isThere) engine.bury()
      // The cache may know what an evicted zone held.
      return access.forget() || isAlive
    })
    if (settings.durability === 'sync') await committer.commit()
    return wasAlive
  }

  /** Milliseconds left; Infinity without a time to live; undefined when it is not there. */
  async ttl(key: Key): Promise<number | undefined> {
    this.#checkOpen()
    return this.parts.access.locate(key, isAlive => (isAlive ? this.#ttlLeft() : undefined))
  }

  /** Gives an object another time to live (undefined: none). False when it is not there. The object is written anew. */
  async touch(key: Key, ttl?: number): Promise<boolean> {
    for (;;) {
      const entry = await this.getEntry(key)
      if (entry === undefined) return false
      if (await this.set(key, entry.value, { ttl, ifVersion: entry.version })) return true
    }
  }

  /**
   * Adds to a number, 0 if the key is not there, and gives the sum. Numbers are decimal integers below 2^53 as text. The time to
   * live stays; `ttl` is that of a new object.
   *
   * @throws StoreError NUMBER when the value is none
   */
  async increment(key: Key, by = 1, options: Pick<SetOptions, 'ttl'> = {}): Promise<number> {
    for (;;) {
      const entry = await this.getEntry(key)
      const sum = (entry === undefined ? 0 : numberIn(entry.value)) + by
      if (!Number.isSafeInteger(by) || !Number.isSafeInteger(sum)) {
        throw notNumber(`a sum of ${by} and what was there is no integer below 2^53`)
      }
      const isDone = await this.set(
        key,
        String(sum),
        entry === undefined
          ? { ttl: options.ttl, ifAbsent: true }
          : { ttl: Number.isFinite(entry.ttl) ? entry.ttl : undefined, ifVersion: entry.version },
      )
      if (isDone) return sum
    }
  }

  /** The values in the order of the keys; what is on the drive is read at once, at depth. Rejects if one of them does. */
  async getMany(keys: readonly Key[]): Promise<(Buffer | undefined)[]> {
    return Promise.all(
      keys.map(key => {
        const known = this.getSync(key)
        return known === null ? this.get(key) : known
      }),
    )
  }

  async setMany(
    entries: readonly (readonly [Key, Value])[],
    options: Pick<SetOptions, 'ttl'> = {},
  ): Promise<void> {
    await Promise.all(entries.map(([key, value]) => this.set(key, value, options)))
  }

  /** How many of the keys were there. */
  async deleteMany(keys: readonly Key[]): Promise<number> {
    const results = await Promise.all(keys.map(key => this.delete(key)))
    return results.filter(Boolean).length
  }

  /**
   * Live objects, some at a time: begin with a cursor of null, go on with the one that comes back until that is null.
   *
   * @throws StoreError OPTION: a cursor that scan never gave, a count below 1
   */
  async scan(cursor: string | null = null, count = 100): Promise<ScanPage> {
    this.#checkOpen()
    checkScan(cursor, count)
    return this.parts.scanner.scan(cursor, count)
  }

  /** All live keys. */
  async *keys(): AsyncGenerator<Buffer> {
    let cursor: string | null = null
    do {
      const page: ScanPage = await this.scan(cursor, 1000)
      for (const { key } of page.objects) yield key
      cursor = page.cursor
    } while (cursor !== null)
  }

  /**
   * Objects that were set and neither deleted nor taken back with their zone. Those past their deadline are among them
   * until then: counting them would be the sweep that there is none of.
   */
  get size(): number {
    return this.parts.engine.parts.index.entries
  }

  /** What was there when the store was opened. */
  get recovery(): RecoveryReport {
    return this.parts.report
  }

  stats(): StoreStats {
    this.#checkOpen()
    return this.parts.statsOf()
  }

  /** The zones in use, in the order of the device. */
  zones(): ZoneView[] {
    this.#checkOpen()
    const { zones, pagesPerZone } = this.parts.engine.parts
    return viewZones(zones, pagesPerZone, this.parts.clock.now())
  }

  /** What a zone of the device can hold. */
  get zoneBytes(): number {
    return this.parts.engine.parts.pagesPerZone * PAGE_BYTES
  }

  /** Resolves when everything set before is durable. */
  async flush(): Promise<void> {
    this.#checkOpen()
    await this.parts.committer.commit()
  }

  /** What the timer does: takes zones back whose last deadline has passed. For stores with a clock of their own. */
  tick(nowMs: number): void {
    this.#checkOpen()
    const { engine } = this.parts
    engine.cells[NOW] = nowMs
    engine.parts.keeper.expire(nowMs)
    engine.parts.classes.learn(nowMs)
  }

  /** Makes everything durable and lets the device go. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.parts.stopTicking()
    try {
      await this.parts.committer.commit()
    } finally {
      await this.parts.release()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new StoreError('STORE_ERR_CLOSED', 'the store has been closed')
  }

  #copyOf(key: Key): Uint8Array {
    this.#checkOpen()
    return this.parts.access.copyOf(key)
  }

  #ttlLeft(): number {
    const { cells } = this.parts.engine
    return cells[DEADLINE]! - cells[NOW]!
  }

  #put(key: Key, bytes: Uint8Array, ttl: number | undefined): number {
    const { access, engine, burials, reinserter } = this.parts
    access.load(key)
    const { cells } = engine
    cells[DEADLINE] = ttl === undefined ? Number.POSITIVE_INFINITY : Math.ceil(cells[NOW]! + ttl)
    const result = engine.put(bytes, bytes.length)
    if (result < 0) return result
    access.keep(bytes)
    if (result === ON_DRIVE) {
      const locators = Array.from(engine.onDrive.subarray(0, engine.onDriveCount))
      burials.add(access.keyAtHand(), locators)
    }
    reinserter?.step()
    return result
  }

  /** After BUSY. With nothing under way it is the commit that gives zones back (leaving-zones.ts). */
  #room(): Promise<void> {
    const { io, committer } = this.parts
    return io.isIdle ? committer.commit() : io.progress()
  }

  /** Calls `put` if the condition holds at that moment. */
  async #putIf(key: Uint8Array, options: SetOptions, put: () => number): Promise<number> {
    const { ifAbsent, ifVersion } = options
    return this.parts.access.locate(key, isAlive => {
      if (ifAbsent === true && isAlive) return REFUSED
      const isRight = ifVersion === undefined || (isAlive && this.#entry().version === ifVersion)
      return isRight ? put() : REFUSED
    })
  }

  /** What was found. */
  #entry(): Entry {
    const ttl = this.#ttlLeft()
    const value = this.parts.access.value()
    return { value, version: this.#versionOf(value), ttl }
  }

  /** Of the value that was found, whose deadline is in the cells. */
  #versionOf(value: Uint8Array): string {
    const deadline = String(this.parts.engine.cells[DEADLINE])
    return createHash('sha1').update(deadline).update(value).digest('base64url')
  }
}

function full(): StoreError {
  return new StoreError(
    'STORE_ERR_FULL',
    "every zone of the device is in use, and none may go under eviction: 'noeviction': delete objects, wait until some expire, or open the store with eviction: 'evict'",
  )
}

function busy(why: string): StoreError {
  return new StoreError('STORE_ERR_BUSY', `${why}: await set() instead of setSync()`)
}
