/**
 * Looks a key up wherever it is: in the cache, in memory, on the drive. What it found stays valid until the next operation.
 */
import { keyError } from './arguments.js'
import { DEADLINE, NOW } from './cells.js'
import type { Clock } from './clock.js'
import type { DriveReader } from './drive-reader.js'
import { type Engine, FOUND, MISSING, ON_DRIVE } from './engine.js'
import { copyWords, KeptView } from './kept-view.js'
import type { RecordCache } from './record-cache.js'

export type Key = string | Uint8Array

const CACHE_DEADLINE = 0
/** Above this the runtime's own copy is faster, although it makes an object for the part. */
const COPY_BYTES_MAX = 1024

export class Access {
  /** The record in the cache that was found, or -1: the engine has found it. */
  #cached = -1
  /** Of the caller's buffer, which is the same again and again as a rule. */
  readonly #target = new KeptView()

  constructor(
    readonly engine: Engine,
    private readonly reader: DriveReader,
    /** Null where the drive itself is in memory. */
    readonly cache: RecordCache | null,
    private readonly clock: Clock,
  ) {}

  /** Loads a key and the time. @throws StoreError KEY */
  load(key: Key): void {
    this.#loadKey(key)
    this.clock.read(this.engine.cells)
  }

  #loadKey(key: Key): void {
    if (this.engine.loadKey(key)) return
    throw keyError(key)
  }

  /** A key that stays what it is while others use the engine; it is loaded as well. */
  copyOf(key: Key): Uint8Array {
    this.load(key)
    return this.keyAtHand()
  }

  /** A copy of the key that is loaded. */
  keyAtHand(): Uint8Array {
    return Uint8Array.from(this.engine.parts.keys.bytes.subarray(0, this.engine.keyBytes))
  }

  /** MISSING, FOUND and alive, or ON_DRIVE. The time is read only if something is there that has a deadline. */
  look(key: Key): number {
    this.#loadKey(key)
    const { engine, cache } = this
    if (cache !== null) {
      this.clock.read(engine.cells)
      if (this.#findCached(cache)) {
        // Its zone may be another one by now: then that looks a little warmer.
        engine.countHit(cache.locatorOf(this.#cached))
        return FOUND
      }
    }
    this.#cached = -1
    const result = engine.find()
    if (result !== FOUND) return result
    if (engine.cells[DEADLINE] !== Number.POSITIVE_INFINITY) {
      if (cache === null) this.clock.read(engine.cells)
      if (!engine.foundLives()) return MISSING
    }
    engine.countHit(engine.found.locator)
    return FOUND
  }

  #findCached(cache: RecordCache): boolean {
    const { engine } = this
    const { keys } = engine.parts
    const handle = cache.find(keys.bytes, this.engine.keyBytes, keys.place, keys.tag)
    if (handle < 0) return false
    cache.loadTimes(handle)
    engine.cells[DEADLINE] = cache.times[CACHE_DEADLINE]!
    if (engine.cells[DEADLINE] <= engine.cells[NOW]!) {
      cache.expire(handle)
      return false
    }
    this.#cached = handle
    return true
  }

  /** Calls `use` at the moment when it is known whether the key is there and alive, and gives what it gives. */
  async locate<T>(key: Key, use: (isAlive: boolean) => T): Promise<T> {
    const result = this.look(key)
    if (result !== ON_DRIVE) return use(result === FOUND)
    const copy = this.copyOf(key)
    return this.reader.resolve(copy, resolved => {
      const isAlive = resolved === FOUND && this.engine.foundLives()
      this.#cached = -1
      if (isAlive) {
        this.engine.countHit(this.engine.found.locator)
        this.#keepFound()
      }
      return use(isAlive)
    })
  }

  /** As `locate`, of the copy itself, not of one in the cache; dead or alive. */
  async locateCopy<T>(key: Uint8Array, use: (isThere: boolean) => T): Promise<T> {
    return this.reader.resolve(key, resolved => {
      this.#cached = -1
      return use(resolved === FOUND)
    })
  }

  get valueBytes(): number {
    return this.#cached >= 0 ? this.cache!.valueBytesOf(this.#cached) : this.engine.found.valueBytes
  }

  /** What was found, as a Buffer of its own. */
  value(): Buffer {
    const value = Buffer.allocUnsafe(this.valueBytes)
    this.copyInto(value)
    return value
  }

  /** Copies the value if `target` has room for it. Gives its length. */
  copyInto(target: Uint8Array): number {
    const length = this.valueBytes
    if (length > target.length) return length
    if (this.#cached >= 0) {
      this.cache!.copyValue(this.#cached, target, 0)
      return length
    }
    const { bytes, view, valueAt } = this.engine.found
    if (length > COPY_BYTES_MAX) {
      target.set(bytes.subarray(valueAt, valueAt + length))
    } else if (this.#target.isOf(target)) {
      copyWords(view, valueAt, this.#target.view, 0, length)
    } else {
      for (let index = 0; index < length; index++) target[index] = bytes[valueAt + index]!
    }
    return length
  }

  /** Puts the value that was just written into the cache. */
  keep(value: Uint8Array): void {
    const { cache, engine } = this
    if (cache !== null) this.#keep(cache, value, 0, value.length, engine.writtenLocator)
  }

  /** The cache has nothing of the key at hand any more. True: it had, and that was alive. */
  forget(): boolean {
    const { cache, engine } = this
    if (cache === null) return false
    const { keys } = engine.parts
    const wasAlive = this.#findCached(cache)
    cache.remove(keys.bytes, engine.keyBytes, keys.place, keys.tag)
    return wasAlive
  }

  #keepFound(): void {
    const { cache, engine } = this
    if (cache === null) return
    const { bytes, valueAt, valueBytes, locator } = engine.found
    this.#keep(cache, bytes, valueAt, valueBytes, locator)
  }

  #keep(cache: RecordCache, value: Uint8Array, at: number, length: number, locator: number): void {
    const { keys } = this.engine.parts
    cache.times[CACHE_DEADLINE] = this.engine.cells[DEADLINE]!
    cache.insert(keys.bytes, this.engine.keyBytes, keys.place, keys.tag, value, at, length, locator)
  }
}
