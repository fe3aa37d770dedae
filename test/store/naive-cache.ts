/**
 * S3-FIFO as plain as it can be written: arrays of objects and a Map. What store/record-cache.ts is compared with, step by step.
 * Its ghost forgets by epochs, as store/ghost.ts does: where an epoch is one record, that is a FIFO.
 */

export interface NaiveRecord {
  readonly key: string
  granules: number
  value: Uint8Array
  deadline: number
  version: number
  locator: number
  frequency: number
  isInMain: boolean
  isDead: boolean
}

interface Epoch {
  readonly keys: Set<string>
  granules: number
  filled: number
}

export class NaiveGhost {
  /** The oldest first. */
  #epochs: Epoch[] = [{ keys: new Set(), granules: 0, filled: 0 }]

  constructor(readonly capacity: number) {}

  add(key: string, granules: number): void {
    if (granules > this.capacity) return
    if (this.#epochs.at(-1)!.filled >= Math.max(1, Math.ceil(this.capacity / 1024))) {
      if (this.#epochs.length === 2048) this.#epochs.shift()
      this.#epochs.push({ keys: new Set(), granules: 0, filled: 0 })
    }
    const newest = this.#epochs.at(-1)!
    newest.keys.add(key)
    newest.granules += granules
    newest.filled += granules
    const total = () => this.#epochs.reduce((sum, epoch) => sum + epoch.granules, 0)
    while (total() > this.capacity && this.#epochs.length > 1) this.#epochs.shift()
  }

  take(key: string, granules: number): boolean {
    const epoch = this.#epochs.find(({ keys }) => keys.delete(key))
    if (epoch === undefined) return false
    epoch.granules = Math.max(0, epoch.granules - granules)
    return true
  }

  get size(): number {
    return this.#epochs.reduce((sum, { keys }) => sum + keys.size, 0)
  }
}

class NaiveRing {
  readonly #records: NaiveRecord[] = []
  granules = 0

  push(record: NaiveRecord): void {
    this.#records.push(record)
    this.granules += record.granules
  }

  shift(): NaiveRecord | undefined {
    const record = this.#records.shift()
    this.granules -= record?.granules ?? 0
    return record
  }
}

export interface NaiveLimits {
  readonly granulesMax: number
  readonly objectsMax: number
  readonly movedMax: number
  readonly moveGranules: number
}

export class NaiveCache {
  readonly records = new Map<string, NaiveRecord>()
  /** The oldest first. */
  #small = new NaiveRing()
  #main = new NaiveRing()
  #ghost: NaiveGhost
  #movable = 0
  readonly counts = { hits: 0, misses: 0, evictions: 0, toMain: 0, rounds: 0, ghostHits: 0 }

  constructor(readonly limits: NaiveLimits) {
    this.#ghost = new NaiveGhost(Math.floor(limits.granulesMax * 0.9))
  }

  get #smallMax(): number {
    return Math.floor(this.limits.granulesMax / 10)
  }

  find(key: string): NaiveRecord | undefined {
    const record = this.records.get(key)
    if (record === undefined) this.counts.misses++
    else {
      this.counts.hits++
      record.frequency = Math.min(3, record.frequency + 1)
    }
    return record
  }

  insert(key: string, fields: Omit<NaiveRecord, 'key' | 'frequency' | 'isInMain' | 'isDead'>) {
    const old = this.records.get(key)
    if (old !== undefined && old.granules === fields.granules) {
      Object.assign(old, fields)
      return true
    }
    if (old !== undefined) this.remove(key)
    if (fields.granules > this.#smallMax) return false
    let isInMain = old?.isInMain ?? false
    if (old === undefined && this.#ghost.take(key, fields.granules)) {
      this.counts.ghostHits++
      isInMain = true
    }
    this.#makeRoom(fields.granules)
    const record = { ...fields, key, frequency: old?.frequency ?? 0, isInMain, isDead: false }
    this.records.set(key, record)
    const ring = isInMain ? this.#main : this.#small
    ring.push(record)
    return true
  }

  remove(key: string): boolean {
    const record = this.records.get(key)
    if (record === undefined) return false
    record.isDead = true
    return this.records.delete(key)
  }

  expire(key: string): void {
    this.remove(key)
    this.counts.hits--
    this.counts.misses++
  }

  clear(): void {
    this.records.clear()
    this.#small = new NaiveRing()
    this.#main = new NaiveRing()
    this.#ghost = new NaiveGhost(this.#ghost.capacity)
  }

  get granules(): number {
    return [...this.records.values()].reduce((sum, { granules }) => sum + granules, 0)
  }

  #makeRoom(granules: number): void {
    this.#movable = this.limits.movedMax
    const mainMax = this.limits.granulesMax - this.#smallMax
    const isFull = () =>
      this.#small.granules + this.#main.granules + granules > this.limits.granulesMax ||
      this.records.size >= this.limits.objectsMax
    while (isFull()) {
      const isMainTooLarge = this.#main.granules > mainMax
      this.#shrink(isMainTooLarge || this.#small.granules === 0 ? this.#main : this.#small)
    }
  }

  #shrink(ring: NaiveRing): void {
    for (;;) {
      const record = ring.shift()
      if (record === undefined || record.isDead) return
      const isKept = record.frequency >= (ring === this.#main ? 1 : 2) && this.#movable > 0
      if (!isKept) {
        if (ring === this.#small) this.#ghost.add(record.key, record.granules)
        this.records.delete(record.key)
        this.counts.evictions++
        return
      }
      this.#movable -= record.granules + this.limits.moveGranules
      if (ring === this.#main) this.counts.rounds++
      else this.counts.toMain++
      record.frequency = ring === this.#main ? record.frequency - 1 : 0
      record.isInMain = true
      this.#main.push(record)
    }
  }
}
