/**
 * What the store is measured against in one process: `Map`, and packages that `npm ci --prefix bench/peers` installs.
 *
 * All of them keep everything in memory (files of lmdb and classic-level on tmpfs), none waits for a disk, and each does what a
 * program would do with it: values are copied in and copied out, writes of transactional ones come in batches of 1,000.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { open, type Store } from '../store/index.js'
import { VALUE_BYTES } from './store-data.js'

const BATCH = 1000
const MIB = 1024 * 1024
/** Memory that a peer may take: never what limits it. */
const ROOM_BYTES = 4096 * MIB
const packages = createRequire(new URL('../../bench/peers/package.json', import.meta.url))

/** A store as the benches use it. Times to live are milliseconds. */
export interface Peer {
  set(key: string, value: Buffer, ttl: number): void
  /** Copies the value; its length, or -1. */
  getInto(key: string, target: Buffer): number
  /** Called after each BATCH sets, and after the last; with what belongs to the sets. */
  flush?(): void | Promise<void>
  /** Makes `ttlMs` pass and gives back what has expired. The keys that did, for those that do not know themselves. */
  expire?(ttlMs: number, keys: readonly string[]): void | Promise<void>
  close(): void | Promise<void>
}

export interface PeerSort {
  readonly name: string
  /** What the program has to do to end an object, in two words. */
  readonly expiry: string
  /** @throws when the package is not there */
  open(folder: string, objects: number): Peer | Promise<Peer>
}

class Ours implements Peer {
  private constructor(
    private readonly store: Store,
    private readonly clock: { aheadMs: number },
  ) {}

  static async open(hasOwnClock: boolean): Promise<Ours> {
    const clock = { aheadMs: 0 }
    const now = hasOwnClock ? () => Date.now() + clock.aheadMs : undefined
    return new Ours(await open({ device: { memory: ROOM_BYTES }, now }), clock)
  }

  set(key: string, value: Buffer, ttl: number): void {
    this.store.setSync(key, value, ttl)
  }

  getInto(key: string, target: Buffer): number {
    return this.store.getInto(key, target) as number
  }

  expire(ttlMs: number): void {
    this.clock.aheadMs += ttlMs
    this.store.tick(Date.now() + this.clock.aheadMs)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}

class OurMap implements Peer {
  readonly #objects = new Map<string, Buffer>()

  set(key: string, value: Buffer): void {
    this.#objects.set(key, Buffer.from(value))
  }

  getInto(key: string, target: Buffer): number {
    const value = this.#objects.get(key)
    return value === undefined ? -1 : value.copy(target)
  }

  close(): void {}
}

interface Lru {
  set(key: string, value: Buffer, options: { ttl: number }): void
  get(key: string): Buffer | undefined
  purgeStale(): boolean
}

class LruCache implements Peer {
  #passedMs = 0
  readonly #cache: Lru

  constructor(objects: number) {
    const { LRUCache } = packages('lru-cache')
    // Its own clock is read once a millisecond: `ttlResolution`. Only `expire` moves it.
    const perf = { now: () => performance.now() + this.#passedMs }
    this.#cache = new LRUCache({ max: objects * 2, ttl: 1, perf }) as Lru
  }

  set(key: string, value: Buffer, ttl: number): void {
    this.#cache.set(key, Buffer.from(value), { ttl })
  }

  getInto(key: string, target: Buffer): number {
    const value = this.#cache.get(key)
    return value === undefined ? -1 : value.copy(target)
  }

  async expire(ttlMs: number): Promise<void> {
    this.#passedMs += ttlMs
    // Else it takes the time that it has read a moment ago.
    await new Promise(resolve => setTimeout(resolve, 5))
    this.#cache.purgeStale()
  }

  close(): void {}
}

interface LmdbRoot {
  transactionSync(action: () => void): void
  putSync(key: string, value: Buffer): void
  removeSync(key: string): void
  getBinaryFast(key: string): Buffer | undefined
  close(): Promise<void>
}

class Lmdb implements Peer {
  readonly #root: LmdbRoot
  readonly #waiting: [string, Buffer][] = []

  constructor(folder: string) {
    const options = { path: join(folder, 'lmdb'), encoding: 'binary', noSync: true }
    this.#root = packages('lmdb').open({ ...options, mapSize: ROOM_BYTES }) as LmdbRoot
  }

  set(key: string, value: Buffer): void {
    this.#waiting.push([key, value])
  }

  flush(): void {
    this.#root.transactionSync(() => {
      for (const [key, value] of this.#waiting) this.#root.putSync(key, value)
    })
    this.#waiting.length = 0
  }

  getInto(key: string, target: Buffer): number {
    const value = this.#root.getBinaryFast(key)
    // Its length is of the value, its memory longer.
    return value === undefined ? -1 : value.subarray(0, value.length).copy(target)
  }

  expire(_ttlMs: number, keys: readonly string[]): void {
    for (let at = 0; at < keys.length; at += BATCH) {
      this.#root.transactionSync(() => {
        for (const key of keys.slice(at, at + BATCH)) this.#root.removeSync(key)
      })
    }
  }

  close(): Promise<void> {
    return this.#root.close()
  }
}

type LevelStep = { type: 'put'; key: string; value: Buffer } | { type: 'del'; key: string }

interface Level {
  open(): Promise<void>
  batch(steps: readonly LevelStep[]): Promise<void>
  getSync(key: string): Buffer | undefined
  close(): Promise<void>
}

class ClassicLevel implements Peer {
  #waiting: LevelStep[] = []

  private constructor(private readonly db: Level) {}

  static async open(folder: string): Promise<ClassicLevel> {
    const Kind = packages('classic-level').ClassicLevel
    const db = new Kind(join(folder, 'level'), { valueEncoding: 'buffer' }) as Level
    await db.open()
    return new ClassicLevel(db)
  }

  set(key: string, value: Buffer): void {
    this.#waiting.push({ type: 'put', key, value })
  }

  async flush(): Promise<void> {
    const steps = this.#waiting
    this.#waiting = []
    await this.db.batch(steps)
  }

  getInto(key: string, target: Buffer): number {
    const value = this.db.getSync(key)
    return value === undefined ? -1 : value.copy(target)
  }

  async expire(_ttlMs: number, keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += BATCH) {
      await this.db.batch(keys.slice(at, at + BATCH).map(key => ({ type: 'del', key })))
    }
  }

  close(): Promise<void> {
    return this.db.close()
  }
}

interface Statement {
  run(...values: unknown[]): void
  get(...values: unknown[]): Buffer | undefined
  pluck(): Statement
}

class Sqlite implements Peer {
  readonly #db: { exec(sql: string): void; prepare(sql: string): Statement; close(): void }
  readonly #put: Statement
  readonly #read: Statement
  readonly #purge: Statement
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #startMs = Date.now()
  #isOpen = false

  constructor() {
    const Database = packages('better-sqlite3')
    this.#db = new Database(':memory:')
    this.#db.exec(
      'create table objects(key text primary key, value blob, deadline integer) without rowid',
    )
    this.#put = this.#db.prepare('insert or replace into objects values (?, ?, ?)')
    this.#read = this.#db.prepare('select value from objects where key = ?').pluck()
    this.#purge = this.#db.prepare('delete from objects where deadline <= ?')
    this.#begin = this.#db.prepare('begin')
    this.#commit = this.#db.prepare('commit')
  }

  set(key: string, value: Buffer, ttl: number): void {
    if (!this.#isOpen) this.#begin.run()
    this.#isOpen = true
    this.#put.run(key, value, this.#startMs + ttl)
  }

  flush(): void {
    if (this.#isOpen) this.#commit.run()
    this.#isOpen = false
  }

  getInto(key: string, target: Buffer): number {
    const value = this.#read.get(key)
    return value === undefined ? -1 : value.copy(target)
  }

  expire(ttlMs: number): void {
    this.#purge.run(this.#startMs + ttlMs)
  }

  close(): void {
    this.#db.close()
  }
}

/** `hasOwnClock`: of ours, to let time pass; a store with the system's clock is what is timed. */
export const peerSorts = (hasOwnClock: boolean): readonly PeerSort[] => [
  { name: 'zns-slab', expiry: 'zones reset', open: () => Ours.open(hasOwnClock) },
  { name: 'Map', expiry: '', open: () => new OurMap() },
  { name: 'lru-cache', expiry: 'purgeStale', open: (_, objects) => new LruCache(objects) },
  { name: 'lmdb', expiry: 'told the keys', open: folder => new Lmdb(folder) },
  { name: 'classic-level', expiry: 'told the keys', open: folder => ClassicLevel.open(folder) },
  { name: 'better-sqlite3', expiry: 'delete where', open: () => new Sqlite() },
]

export const PEER_BATCH = BATCH
/** Room for a value, and a length that no value has: what was left by the one before is seen. */
export const targetBytes = (): Buffer => Buffer.alloc(VALUE_BYTES + 8)
