/**
 * Reference simulators of cache policies, written from the papers: what the store's cache is compared with.
 *
 * Objects are numbers below `sizes.length`, each with a size; a policy keeps at most `capacity` of them by size. An object larger
 * than the capacity is never kept (S3-FIFO: larger than its small queue). With sizes of 1 these are the papers' algorithms, for
 * unequal sizes each makes room until the object fits.
 *
 * - LRU, FIFO.
 * - SIEVE: Zhang et al., NSDI 2024. New objects at the head; the hand goes from tail to head and takes the first that was not visited.
 * - ARC: Megiddo and Modha, FAST 2003, figure 4.
 * - S3-FIFO: Yang et al., SOSP 2023, with the parameters and the order of steps of libCacheSim's S3FIFO.c: small queue 0.1, ghost
 *   0.9 of the capacity; frequency 2 takes an object from the small queue to the main one, where it begins at 0; the small queue
 *   gives way unless the main one is above its 0.9; a ghost is forgotten when it is asked for.
 */

/** A queue of objects, threaded through arrays that all queues of a policy share: an object is in one queue at a time. */
class Queue {
  head = -1
  tail = -1
  size = 0

  constructor(
    readonly next: Int32Array,
    readonly previous: Int32Array,
    readonly sizes: Float64Array,
  ) {}

  pushHead(id: number): void {
    this.previous[id] = -1
    this.next[id] = this.head
    if (this.head >= 0) this.previous[this.head] = id
    else this.tail = id
    this.head = id
    this.size += this.sizes[id]!
  }

  remove(id: number): void {
    const before = this.previous[id]!
    const after = this.next[id]!
    if (before >= 0) this.next[before] = after
    else this.head = after
    if (after >= 0) this.previous[after] = before
    else this.tail = before
    this.size -= this.sizes[id]!
  }

  popTail(): number {
    const id = this.tail
    this.remove(id)
    return id
  }
}

export interface Policy {
  /** True: a hit. A miss puts the object in. */
  request(id: number): boolean
}

abstract class Base implements Policy {
  /** Where each object is; what the numbers mean is the policy's. 0: nowhere. */
  protected readonly where: Uint8Array
  private readonly links: [Int32Array, Int32Array]

  constructor(
    protected readonly sizes: Float64Array,
    protected readonly capacity: number,
  ) {
    this.where = new Uint8Array(sizes.length)
    this.links = [new Int32Array(sizes.length), new Int32Array(sizes.length)]
  }

  protected queue(): Queue {
    return new Queue(...this.links, this.sizes)
  }

  abstract request(id: number): boolean
}

export class Fifo extends Base {
  protected readonly kept = this.queue()

  request(id: number): boolean {
    if (this.where[id] === 1) return true
    const size = this.sizes[id]!
    if (size > this.capacity) return false
    while (this.kept.size + size > this.capacity) this.where[this.kept.popTail()] = 0
    this.kept.pushHead(id)
    this.where[id] = 1
    return false
  }
}

export class Lru extends Fifo {
  override request(id: number): boolean {
    if (this.where[id] !== 1) return super.request(id)
    this.kept.remove(id)
    this.kept.pushHead(id)
    return true
  }
}

export class Sieve extends Base {
  readonly #kept = this.queue()
  #hand = -1

  /** 1: here; 2: here and visited. */
  request(id: number): boolean {
    if (this.where[id] !== 0) {
      this.where[id] = 2
      return true
    }
    const size = this.sizes[id]!
    if (size > this.capacity) return false
    while (this.#kept.size + size > this.capacity) this.#evict()
    this.#kept.pushHead(id)
    this.where[id] = 1
    return false
  }

  #evict(): void {
    let at = this.#hand >= 0 ? this.#hand : this.#kept.tail
    while (this.where[at] === 2) {
      this.where[at] = 1
      const before = this.#kept.previous[at]!
      at = before >= 0 ? before : this.#kept.tail
    }
    this.#hand = this.#kept.previous[at]!
    this.#kept.remove(at)
    this.where[at] = 0
  }
}

const T1 = 1
const T2 = 2
const B1 = 3
const B2 = 4

export class Arc extends Base {
  readonly #t1 = this.queue()
  readonly #t2 = this.queue()
  readonly #b1 = this.queue()
  readonly #b2 = this.queue()
  /** The size that T1 should have. */
  #goal = 0

  request(id: number): boolean {
    const size = this.sizes[id]!
    const where = this.where[id]!
    if (where === T1 || where === T2) {
      if (where === T1) this.#t1.remove(id)
      else this.#t2.remove(id)
      this.#put(this.#t2, id, T2)
      return true
    }
    if (size > this.capacity) return false
    if (where === B1) {
      const step = size * Math.max(1, this.#b2.size / this.#b1.size)
      this.#goal = Math.min(this.capacity, this.#goal + step)
      this.#b1.remove(id)
      this.#makeRoom(size, false)
      this.#put(this.#t2, id, T2)
    } else if (where === B2) {
      const step = size * Math.max(1, this.#b1.size / this.#b2.size)
      this.#goal = Math.max(0, this.#goal - step)
      this.#b2.remove(id)
      this.#makeRoom(size, true)
      this.#put(this.#t2, id, T2)
    } else {
      this.#forget(size)
      this.#makeRoom(size, false)
      this.#put(this.#t1, id, T1)
    }
    return false
  }

  #put(queue: Queue, id: number, where: number): void {
    queue.pushHead(id)
    this.where[id] = where
  }

  /** Case IV: the histories make room, T1 itself when its history is empty. */
  #forget(size: number): void {
    while (this.#t1.size + this.#b1.size + size > this.capacity) {
      if (this.#b1.tail >= 0) this.where[this.#b1.popTail()] = 0
      else if (this.#t1.tail >= 0) this.where[this.#t1.popTail()] = 0
      else break
    }
    const total = () => this.#t1.size + this.#t2.size + this.#b1.size + this.#b2.size
    while (total() + size > 2 * this.capacity && this.#b2.tail >= 0)
      this.where[this.#b2.popTail()] = 0
  }

  #makeRoom(size: number, isInB2: boolean): void {
    while (this.#t1.size + this.#t2.size + size > this.capacity) {
      const isT1Larger = this.#t1.size > this.#goal || (isInB2 && this.#t1.size === this.#goal)
      if (this.#t1.size > 0 && (isT1Larger || this.#t2.size === 0))
        this.#put(this.#b1, this.#t1.popTail(), B1)
      else this.#put(this.#b2, this.#t2.popTail(), B2)
    }
  }
}

const SMALL = 1
const MAIN = 2
const GHOST = 3

export class S3Fifo extends Base {
  readonly #small = this.queue()
  readonly #main = this.queue()
  readonly #ghost = this.queue()
  readonly #frequency = new Uint32Array(this.sizes.length)
  readonly #smallMax = Math.floor(this.capacity * 0.1)
  readonly #mainMax = this.capacity - this.#smallMax
  readonly #ghostMax = Math.floor(this.capacity * 0.9)

  request(id: number): boolean {
    const where = this.where[id]!
    if (where === SMALL || where === MAIN) {
      this.#frequency[id] = this.#frequency[id]! + 1
      return true
    }
    if (where === GHOST) {
      this.#ghost.remove(id)
      this.where[id] = 0
    }
    const size = this.sizes[id]!
    if (size > this.#smallMax) return false
    while (this.#small.size + this.#main.size + size > this.capacity) {
      if (this.#main.size > this.#mainMax || this.#small.size === 0) this.#shrinkMain()
      else this.#shrinkSmall()
    }
    this.#put(id, where === GHOST ? MAIN : SMALL, 0)
    return false
  }

  #put(id: number, where: number, frequency: number): void {
    if (where === SMALL) this.#small.pushHead(id)
    else this.#main.pushHead(id)
    this.where[id] = where
    this.#frequency[id] = frequency
  }

  #shrinkSmall(): void {
    while (this.#small.size > 0) {
      const id = this.#small.popTail()
      if (this.#frequency[id]! >= 2) {
        this.#put(id, MAIN, 0)
        continue
      }
      this.#remember(id)
      return
    }
  }

  #remember(id: number): void {
    this.where[id] = 0
    const size = this.sizes[id]!
    if (size > this.#ghostMax) return
    while (this.#ghost.size + size > this.#ghostMax) this.where[this.#ghost.popTail()] = 0
    this.#ghost.pushHead(id)
    this.where[id] = GHOST
  }

  #shrinkMain(): void {
    while (this.#main.size > 0) {
      const id = this.#main.popTail()
      const frequency = this.#frequency[id]!
      if (frequency === 0) {
        this.where[id] = 0
        return
      }
      this.#put(id, MAIN, Math.min(frequency, 3) - 1)
    }
  }
}

/** In the order of the table. */
export const POLICIES: Readonly<
  Record<string, new (sizes: Float64Array, capacity: number) => Policy>
> = { LRU: Lru, FIFO: Fifo, SIEVE: Sieve, ARC: Arc, 'S3-FIFO': S3Fifo }
