/**
 * A life of a store on a drive that loses power: random operations, a cut somewhere, a restart, and every key is looked at.
 */
import { type Eviction, open, type Store } from '../../store/index.js'
import { Prng } from '../fakes/prng.js'
import { CrashDrive } from './crash-drive.js'
import { History } from './history.js'

const ZONE_BYTES = 256 * 1024
/** So that zones are filled and evicted within a life. */
const EVICTING_ZONE_BYTES = 64 * 1024
const KEYS = 60
/** The store is noticed to be dead after so many operations that it could not do. */
const OPERATIONS = 120

export interface LifeResult {
  readonly cuts: number
  readonly operations: number
  readonly resets: number
  /** Of them, by eviction. */
  readonly evictions: number
}

export class Life {
  readonly #prng: Prng
  readonly #history: History
  readonly #drive: CrashDrive
  #nowMs = 1_700_000_000_000
  #operations = 0
  #serial = 0

  /** `eviction` other than 'noeviction': on a drive that is always too small. */
  constructor(
    readonly seed: number,
    readonly eviction: Eviction,
  ) {
    const evicts = eviction !== 'noeviction'
    const prng = new Prng(seed)
    this.#prng = prng
    this.#history = new History(evicts)
    const zoneBytes = evicts ? EVICTING_ZONE_BYTES : ZONE_BYTES
    this.#drive = new CrashDrive(
      {
        zoneCount: evicts ? 8 + prng.below(10) : 40,
        zoneSizeBytes: zoneBytes,
        zoneCapacityBytes: zoneBytes - 4096 * prng.below(3),
        maxActive: evicts ? 3 + prng.below(4) : 6 + prng.below(6),
      },
      prng,
    )
  }

  /** So many power cuts, each with a restart behind it. Throws what the history says. */
  async run(cuts: number): Promise<LifeResult> {
    let resets = 0
    let evictions = 0
    for (let cut = 0; cut < cuts; cut++) {
      let store = await this.#open()
      this.#drive.failAfter(this.#prng.below(60))
      await this.#live(store)
      const { drops } = store.stats()
      resets += Object.values(drops).reduce((sum, count) => sum + count, 0)
      evictions += drops.evicted
      this.#drive.isOff = true
      await store.close().catch(() => {})
      this.#drive.revive()
      if (this.#prng.chance(0.3)) this.#nowMs += this.#prng.below(5000)
      store = await this.#open()
      await this.#check(store, `seed ${this.seed}, cut ${cut}`)
      await store.close()
    }
    return { cuts, operations: this.#operations, resets, evictions }
  }

  #open(): Promise<Store> {
    return open({
      device: this.#drive,
      now: () => this.#nowMs,
      eviction: this.eviction,
      cacheBytes: this.#prng.chance(0.5) ? 0 : 256 * 1024,
      durability: 'interval',
      identity: new Uint8Array(16).fill(this.seed),
    })
  }

  async #live(store: Store): Promise<void> {
    for (let step = 0; step < OPERATIONS && !this.#drive.isOff; step++) {
      this.#operations++
      try {
        await this.#step(store)
      } catch (error) {
        if (!this.#drive.isOff) throw error
      }
    }
  }

  async #step(store: Store): Promise<void> {
    const prng = this.#prng
    const dice = prng.below(100)
    if (dice < 45) await this.#set(store)
    else if (dice < 60) await this.#delete(store)
    else if (dice < 75) await this.#read(store)
    else if (dice < 85) await this.#flush(store)
    else if (dice < 95) await this.#pass(store)
    else for (let i = prng.below(40); i > 0; i--) await this.#set(store)
  }

  #key(): string {
    return `key:${this.#prng.below(KEYS)}`
  }

  async #set(store: Store): Promise<void> {
    const prng = this.#prng
    const key = this.#key()
    const lengths = [10, 100, 100, 100, 300, 1500, 4000, 9000]
    const value = `${this.#serial++}:`.padEnd(prng.pick(lengths), 'v')
    const ttl = prng.pick([undefined, 5, 500, 5000, 60_000, 3_600_000])
    // It counts as tried before the answer: a power cut may leave it.
    this.#history.set(key, value, ttl === undefined ? Number.POSITIVE_INFINITY : this.#nowMs + ttl)
    await store.set(key, value, { ttl })
  }

  async #delete(store: Store): Promise<void> {
    const key = this.#key()
    this.#history.delete(key)
    await store.delete(key)
  }

  async #read(store: Store): Promise<void> {
    const key = this.#key()
    const answer = await store.get(key)
    if (this.#drive.isOff) return
    if (this.#history.isRight(key, answer?.toString(), this.#nowMs)) return
    const expected = this.#history.get(key, this.#nowMs)
    const told = `${answer?.toString().slice(0, 8)}, and not ${expected?.slice(0, 8)}`
    throw new Error(`seed ${this.seed}: ${key} is ${told}`)
  }

  async #flush(store: Store): Promise<void> {
    const mark = this.#history.mark()
    await store.flush()
    this.#history.durable(mark)
  }

  async #pass(store: Store): Promise<void> {
    this.#nowMs += this.#prng.pick([1, 10, 300, 4000, 30_000])
    store.tick(this.#nowMs)
  }

  async #check(store: Store, note: string): Promise<void> {
    for (const key of this.#history.keys) {
      const answer = (await store.get(key))?.toString()
      this.#history.settle(key, answer, this.#nowMs, note)
    }
  }
}
